"""`reelmill backup|restore`: a whole installation into a folder, and back into a new one."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.context import Json, Target, done, talk

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from infra.backup import Account
    from infra.storage import Storage

# The drivers take a second to import, so commands import them when they run.
# ruff: noqa: PLC0415


def backup(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where it goes; what is there already is not copied.")],
    as_json: Json = False,
) -> None:
    """Copy the database and every object into a folder, while everything runs: of REELMILL_*, or the local system's."""
    from infra.backup import backup as write

    told = _with_everything(context.obj, write, folder)
    done(f"{told.objects} objects, {told.bytes} bytes; {told.copied} copied anew.", as_json, asdict(told))


def restore(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    as_json: Json = False,
) -> None:
    """Bring a backup back into an empty database and a bucket (REELMILL_*), before anything is started there."""
    from infra.backup import restore as bring_back

    told = _with_everything(context.obj, bring_back, folder)
    done(f"{told.objects} objects, {told.bytes} bytes are back, each with its hash.", as_json, asdict(told))


def _with_everything(
    target: Target, work: "Callable[[Engine, Storage, str, Path], Account]", folder: Path
) -> "Account":
    from infra import db
    from infra.storage import Corrupt, NotThere, Storage, Unavailable

    settings = target.settings()
    url = settings.database_url.get_secret_value()
    # A backup takes hours where there is much: its one transaction may be idle for as long as objects are copied.
    engine = db.connect(url, pool=2, idle_seconds=7 * 24 * 3600)
    try:
        return work(engine, Storage(settings), url, folder)
    except (Corrupt, NotThere, Unavailable) as error:
        talk.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None
    finally:
        engine.dispose()
