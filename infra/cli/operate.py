"""`reelmill up|demo|migrate|token`: run the system."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.context import Json, Target, data, done, show, talk

if TYPE_CHECKING:
    from sqlalchemy import Connection

# The drivers take a second to import, so commands import them when they run.
# ruff: noqa: PLC0415

tokens = typer.Typer(no_args_is_help=True, help="Tokens: who may call.")


def up(context: typer.Context) -> None:
    """Start the local servers and every process; Ctrl-C stops all."""
    from infra.cli.local import Local

    target: Target = context.obj
    asked_to_stop = _stop_on_signals()
    with Local(target.home, talk.print) as local:
        talk.print(f"\n  HTTP   {local.endpoints.http}", markup=False)
        talk.print(f"  look   {local.endpoints.http}/console (a link that signs in: reelmill console)", markup=False)
        talk.print(
            f"  AMQP   {local.endpoints.amqp.rpartition('@')[2]} (with its password in endpoints.json)", markup=False
        )
        talk.print(f"  token  in {target.home / 'endpoints.json'}\n\nCtrl-C stops everything.", markup=False)
        while not asked_to_stop.wait(1):
            local.mend()
        talk.print("Stopping ...")


def demo(
    context: typer.Context,
    video: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, readable=True)] = None,
    rate: Annotated[str, typer.Option(help="Samples per second of video.")] = "5",
    keep: Annotated[bool, typer.Option(help="Stay up afterwards, until Ctrl-C.")] = False,
) -> None:
    """Take a real video through the whole system and show what came out."""
    from infra.cli.demo import run
    from infra.cli.local import Local

    target: Target = context.obj
    asked_to_stop = _stop_on_signals()
    with Local(target.home, talk.print) as local:
        run(local.endpoints, video, rate, target.home / "demo")
        if keep:
            talk.print(f"Still up at {local.endpoints.http}; Ctrl-C stops everything.", markup=False)
            asked_to_stop.wait()


def migrate() -> None:
    """Bring the database of REELMILL_DATABASE_URL to the newest schema. Safe to run twice, and at once."""
    from infra import db
    from infra import migrate as migration
    from infra.settings import read

    engine = db.connect(read().database_url.get_secret_value(), pool=1)
    migration.migrate(engine)
    engine.dispose()
    talk.print("The schema is up to date.")


@tokens.command("create")
def create(
    context: typer.Context,
    name: str,
    role: Annotated[list[str], typer.Option(help="admin, producer, worker or reader; may be repeated.")],
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires.")] = None,
    live_jobs: Annotated[int | None, typer.Option(min=1, help="Live jobs that it may have at a time.")] = None,
    storage_mib: Annotated[int | None, typer.Option(min=1, help="MiB of uploads that it may keep.")] = None,
    tenant: Annotated[str, typer.Option(help="Whose things it sees; without one, everything.")] = "",
    as_json: Json = False,
) -> None:
    """Make a token, or replace the one of this name. The secret is printed once, to stdout."""
    from infra import db
    from infra import tokens as store

    try:
        roles = [store.Role(each) for each in role]
    except ValueError as error:
        raise typer.BadParameter(f"{error}; choose from {', '.join(store.Role)}") from None
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    storage_bytes = storage_mib * 1024**2 if storage_mib else None
    with _transaction(context) as connection:
        try:
            secret = store.create(connection, name, roles, expires_at, live_jobs, storage_bytes, tenant)
        except store.OtherTenant:
            raise typer.BadParameter(f"{name} is the name of another tenant's token") from None
        except db.REFUSED:
            raise typer.BadParameter(
                "a tenant has 1 to 63 of a-z, 0-9, - and _, and its tokens are no admins"
            ) from None
    if as_json:
        show({"name": name, "roles": roles, "tenant": tenant, "expires_at": expires_at, "token": secret})
    else:
        data.print(secret, markup=False)


@tokens.command("password")
def password(context: typer.Context, name: str, as_json: Json = False) -> None:
    """Give a token a password, for basic authentication; asks for it, or reads a line of stdin."""
    from infra import passwords

    if sys.stdin.isatty():
        chosen = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        chosen = sys.stdin.readline().rstrip("\n")
    try:
        with _transaction(context) as connection:
            if not passwords.put(connection, name, chosen):
                raise typer.BadParameter(f"there is no live token {name!r}")
    except passwords.Unfit as error:
        raise typer.BadParameter(str(error)) from None
    done("The password is set.", as_json, {"name": name})


@tokens.command("revoke")
def revoke(context: typer.Context, name: str, as_json: Json = False) -> None:
    """End a token."""
    from infra import tokens as store

    with _transaction(context) as connection:
        if not store.revoke(connection, name):
            raise typer.BadParameter(f"there is no live token {name!r}")
    done("Revoked.", as_json, {"revoked": name})


def producer(
    name: str,
    kind: Annotated[list[str], typer.Option(help="What it may publish; may be repeated.")],
    vhost: Annotated[str, typer.Option(help="The broker's virtual host.")] = "/",
) -> None:
    """Say the commands that make a user of the broker who can publish these kinds and nothing else."""
    from infra import producers

    try:
        data.print(producers.script(name, kind, vhost), markup=False)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@contextmanager
def _transaction(context: typer.Context) -> Iterator["Connection"]:
    from infra import db

    target: Target = context.obj
    engine = db.connect(target.settings().database_url.get_secret_value(), pool=1)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _stop_on_signals() -> threading.Event:
    """The first SIGINT or SIGTERM asks to stop in order; the next one interrupts."""
    asked = threading.Event()

    def ask(number: int, _: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        signal.signal(number, ask)

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
    return asked
