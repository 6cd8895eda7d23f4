"""`reelmill deliveries` and `reelmill manifests`: what is there, checked against what it should be."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer

from infra.cli.client import Client, Refused
from infra.cli.context import AlwaysJson, Json, client, data, show, table, talk
from infra.cli.exits import Exit

app = typer.Typer(no_args_is_help=True, help="Deliveries: content that is there, checked against manifests.")
manifests = typer.Typer(no_args_is_help=True, help="Manifests: which files a content at a host is made of.")
Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="A folder with the content.")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds to wait for a check.")]
CHUNK = 1024 * 1024


@app.command("check")
def check(
    context: typer.Context,
    folders: Annotated[list[Path], typer.Argument(exists=True, file_okay=False, help="Folders with content.")],
    each: Annotated[bool, typer.Option(help="Every folder in them, as in a folder of downloads.")] = False,
    refuse_extra: Annotated[bool, typer.Option(help="No file may be there that the manifest does not list.")] = False,
    hashes: Annotated[bool, typer.Option("--hash", help="Tell SHA-256s, too; reads all files.")] = False,
    timeout: Timeout = 600,
    as_json: Json = False,
) -> None:
    """Tell what lies in folders of this machine; what matches a manifest fills its tasks.

    Exit code 1 when something matches none.
    """
    caller = client(context)
    found = [_checked(caller, folder, refuse_extra, hashes, timeout) for folder in _chosen(folders, each)]
    if as_json:
        show(found)
    else:
        table(("outcome", "location", "filled"), [(_outcome(view), view["location"], _filled(view)) for view in found])
    if any(view["outcome"] != "matched" for view in found):
        raise typer.Exit(Exit.FAILED)


@app.command("upload")
def upload(
    context: typer.Context,
    host: Annotated[str, typer.Argument(help="The host of the task.")],
    external_id: Annotated[str, typer.Argument(help="The host's own id of it.")],
    folder: Folder,
    timeout: Timeout = 600,
    _as_json: AlwaysJson = False,
) -> None:
    """Upload the content of a task to the object store, and have it checked. Prints JSON."""
    caller = client(context)
    given = caller.call("POST", "/v1/deliveries/uploads", json={"host": host, "external_id": external_id})
    missing = [file["path"] for file in given["files"] if not (folder / file["path"]).is_file()]
    if missing:
        raise Refused(f"{len(missing)} files are not there: {', '.join(missing[:5])}")
    with httpx.Client(timeout=httpx.Timeout(30, read=600, write=600)) as store:
        for file in given["files"]:
            _send(store, file["url"], folder / file["path"])
            talk.print(file["path"], markup=False)
    view = _ended(caller, caller.call("POST", given["complete"])["id"], timeout)
    show(view)
    if view["outcome"] != "matched":
        raise typer.Exit(Exit.FAILED)


@app.command("where")
def where(
    context: typer.Context,
    host: Annotated[str, typer.Argument(help="The host.")],
    external_id: Annotated[str, typer.Argument(help="The host's own id of it.")],
    _as_json: AlwaysJson = False,
) -> None:
    """Where a thing lies; a line for each place."""
    told = client(context).call("GET", "/v1/locations", params={"host": host, "external_id": external_id})
    for each in told["locations"]:
        data.print(each["location"], markup=False)


@manifests.command("put")
def put(
    context: typer.Context,
    host: Annotated[str, typer.Argument(help="The host.")],
    external_id: Annotated[str, typer.Argument(help="The host's own id of it.")],
    source: Annotated[
        Path, typer.Argument(exists=True, help="A site's reply or a manifest as JSON; or a folder, to be listed.")
    ],
    hashes: Annotated[bool, typer.Option("--hash", help="Of a folder: SHA-256s, too.")] = False,
    _as_json: AlwaysJson = False,
) -> None:
    """Keep a manifest. Prints JSON."""
    caller, path = client(context), f"/v1/manifests/{quote(host, safe='')}/{quote(external_id)}"
    if source.is_dir():
        body = {"directory": source.resolve().name, "files": list(_files(source, hashes)), "entities": False}
        show(caller.call("PUT", path, json=body))
    else:
        headers = {"Content-Type": "application/json"}
        show(caller.call("PUT", path, content=source.read_bytes(), headers=headers))


def _chosen(folders: list[Path], each: bool) -> list[Path]:
    if not each:
        return folders
    return [path for folder in folders for path in sorted(folder.iterdir()) if path.is_dir()]


def _checked(caller: Client, folder: Path, refuse_extra: bool, hashes: bool, timeout: float) -> dict[str, Any]:
    """What the check of a folder has found. An empty folder is none."""
    files = list(_files(folder, hashes))
    if not files:
        return {"location": str(folder.resolve()), "outcome": "empty", "compared": []}
    extra = "refuse" if refuse_extra else "ignore"
    body = {"location": str(folder.resolve()), "files": files, "extra": extra}
    try:
        return _ended(caller, caller.call("POST", "/v1/deliveries", json=body)["id"], timeout)
    except Refused as refused:
        if refused.code is not Exit.USAGE:
            raise
        talk.print(f"{folder}: {refused}", style="red", markup=False)  # the others are checked all the same
        return {"location": body["location"], "outcome": "refused", "compared": []}


def _files(folder: Path, hashes: bool) -> Iterator[dict[str, Any]]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root) / name
            if path.is_file():
                known = path.relative_to(folder).as_posix().encode(errors="replace").decode()
                found = {"path": known, "size": path.stat().st_size}
                yield found | ({"sha256": _sha256(path)} if hashes else {})


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _send(store: httpx.Client, url: str, path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        with path.open("rb") as source:
            while chunk := source.read(CHUNK):
                yield chunk

    try:
        answer = store.put(url, content=chunks(), headers={"Content-Length": str(path.stat().st_size)})
    except httpx.HTTPError as error:
        raise Refused(f"The object store does not answer ({type(error).__name__}).") from None
    if answer.is_error:
        raise Refused(f"The object store answered {answer.status_code} to {path.name}.")


def _ended(caller: Client, delivery: str, timeout: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout
    while True:
        view: dict[str, Any] = caller.call("GET", f"/v1/deliveries/{delivery}")
        if view["state"] in {"checked", "failed"}:
            return view
        if time.monotonic() > deadline:
            raise Refused(f"The check takes more than {timeout:g} s: /v1/deliveries/{delivery}", Exit.TIMEOUT)
        time.sleep(0.2)


def _outcome(view: dict[str, Any]) -> str:
    return str(view["outcome"] or "failed")


def _filled(view: dict[str, Any]) -> str:
    return ", ".join(f"{each['host']} {each['external_id']}" for each in view["compared"] if each["filled"])
