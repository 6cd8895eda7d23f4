"""What every command shares: where the gateway is, how to talk, and whether people or programs listen."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.cli.client import Client, Refused
from infra.cli.exits import Exit
from schemas.items import legible

if TYPE_CHECKING:
    from infra.settings import Settings

#: Wide enough that nothing is cut where no terminal says how wide it is: scripts need whole ids.
PIPED = 400

talk = Console(stderr=True, highlight=False, soft_wrap=True)
data = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

#: For commands that print nothing else.
AlwaysJson = Annotated[bool, typer.Option("--json", help="JSON, which it prints in any case.")]


@dataclass(frozen=True)
class Target:
    """The gateway that the commands talk to."""

    home: Path
    url: str | None
    token: str | None

    def client(self) -> Client:
        """A client for this gateway. Raises Refused when nobody said where it is."""
        return Client(*self.where())

    def where(self) -> tuple[str, str]:
        """The address and the token. Raises Refused when nobody said."""
        url, token = self.url, self.token
        if not url or not token:
            found = self._endpoints()
            url, token = url or found["http"], token or found["token"]
        return url, token

    def settings(self) -> "Settings":
        """The environment's settings, or else the local system's. Raises ConfigurationError when there is neither."""
        from infra.settings import ConfigurationError, Settings, read  # noqa: PLC0415 - costs every command its time
        from infra.stack import endpoints  # noqa: PLC0415

        try:
            return read()
        except ConfigurationError:
            found = endpoints.read(self.home)
            if found is None:
                raise
            talk.print(f"In the local system of {self.home}.", markup=False)
            known: dict[str, Any] = {
                name.removeprefix("REELMILL_").lower(): value for name, value in found.environment().items()
            }
            return Settings(**known)

    def _endpoints(self) -> dict[str, Any]:
        path = self.home / "endpoints.json"
        try:
            return dict(orjson.loads(path.read_bytes()))
        except FileNotFoundError:
            sentence = (
                f"No system is up in {self.home}. Start one with `reelmill up`, or set REELMILL_URL and REELMILL_TOKEN."
            )
            raise Refused(sentence, Exit.FAILED) from None


def client(context: typer.Context) -> Client:
    """A client for this invocation; it hangs up at its end."""
    target: Target = context.obj
    made = target.client()
    context.call_on_close(made.close)
    return made


def show(document: Any) -> None:
    """Print a document as JSON on stdout."""
    data.print(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(), markup=False)


def done(sentence: str, as_json: bool, document: Any) -> None:
    """Say that something is done: in words to people, or as a document to programs."""
    if as_json:
        show(document)
    else:
        talk.print(sentence, markup=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows for people; nothing but the header when there are none."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, no_wrap=True, min_width=36 if column == "id" else None)
    for row in rows:
        made.add_row(*(Text(legible(cell)) for cell in row))  # nothing in it is markup: names have brackets, too
    data.print(made)


def size(count: float) -> str:
    """Bytes for people: `1.4 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
