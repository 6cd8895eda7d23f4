"""`reelmill replicate`: take over what another deployment shares; from there on next time, also after a cut."""

import time
from collections import Counter
from typing import Annotated, Any

import typer

from infra.cli.client import Client, Refused
from infra.cli.context import Json, client, show, talk
from infra.cli.exits import OF_STATUS, Exit

PAGE = 200
FEED = "/v1/replication/changes"
MARKS = "/v1/replication/marks"
GONE = OF_STATUS[410]


def replicate(
    context: typer.Context,
    peer: Annotated[str, typer.Argument(help="The other deployment's gateway.")],
    peer_token: Annotated[str, typer.Option(envvar="REELMILL_PEER_TOKEN", help="A token of the other deployment.")],
    both: Annotated[bool, typer.Option(help="Also the other way; the peer's token is an admin's then.")] = False,
    from_start: Annotated[bool, typer.Option(help="Read the feeds from their beginning.")] = False,
    every: Annotated[float | None, typer.Option(min=0.1, help="Again and again, after so many seconds.")] = None,
    as_json: Json = False,
) -> None:
    """Take over manifests, fetch tasks, links and cached values of another deployment; with --both, give ours, too."""
    here, there = client(context), Client(peer.rstrip("/"), peer_token)
    ways = [(there, here)] + ([(here, there)] if both else [])
    while True:
        try:
            told = {source.url: pull(source, target, from_start) for source, target in ways}
            if as_json or every is None:
                show(told) if as_json else _tell(told)
            from_start = False
        except Refused as refused:
            if every is None or refused.code is not Exit.FAILED:
                raise
            talk.print(f"{refused} Trying again.", style="yellow", markup=False)
        if every is None:
            return
        time.sleep(every)


def pull(source: Client, target: Client, from_start: bool = False) -> dict[str, int]:
    """Apply at the target what the source has told since the last time. Counts of what became of it.

    How far it went is remembered by the target, in the step that applied it: a cut loses nothing and repeats little.
    """
    counts: Counter[str] = Counter()
    feed, since = _begin(source, target)
    if from_start:
        since = 0
    while True:
        page = _page(source, since)
        changes = [{"revision": change["revision"], "thing": change["thing"]} for change in page["changes"]]
        batch = {"changes": changes, "peer": feed, "next": page["next"]}
        counts.update(target.call("POST", FEED, json=batch)["outcomes"])
        since = page["next"]
        if not page["more"]:
            return dict(counts)


def _page(source: Client, since: int) -> dict[str, Any]:
    """The next page; the first one when the source's feed was made anew, from a backup."""
    try:
        return dict(source.call("GET", FEED, params={"since": since, "limit": PAGE}))
    except Refused as refused:
        if refused.code is not GONE or not since:
            raise
        return dict(source.call("GET", FEED, params={"since": 0, "limit": PAGE}))


def _begin(source: Client, target: Client) -> tuple[str, int]:
    """Which feed the source has, and how far the target has read it."""
    feed = str(source.call("GET", MARKS)["feed"])
    known = target.call("GET", MARKS)
    if known["feed"] == feed:
        raise Refused("These are one deployment, not two.", Exit.USAGE)
    return feed, next((int(mark["seq"]) for mark in known["marks"] if mark["peer"] == feed), 0)


def _tell(told: dict[str, dict[str, int]]) -> None:
    for url, counts in told.items():
        words = ", ".join(f"{number} {fate}" for fate, number in sorted(counts.items())) or "nothing new"
        talk.print(f"from {url}: {words}", markup=False)
