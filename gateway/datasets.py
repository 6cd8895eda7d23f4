"""`/v1/datasets`: versions of datasets made, built, split anew, read, packed and deleted."""

import re
from uuid import UUID

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway import versions
from gateway.bodies import LARGEST_PAGE, integer, read, reply
from gateway.problems import Problem
from gateway.repeats import repeat_of
from gateway.services import services, transact
from infra import builds, datasets, db, quotas, repeats
from infra.annotations import Author
from infra.repeats import Repeat
from schemas.datasets import (
    SPLITS,
    ArchiveRequest,
    DatasetItemPage,
    GroupPage,
    GroupView,
    SplitRequest,
    VersionPage,
    VersionRequest,
)
from schemas.registry import Consumer

GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
VERSION = re.compile(r"[0-9]{1,6}\.[0-9]\.[0-9]|latest")
CURSOR = re.compile(r"([0-9a-f-]{36})\.([0-9]{1,9})\.([a-z0-9_]{0,40})")
DEFAULT_SECONDS, MOST_SECONDS = 3600, 24 * 3600


async def page(request: Request) -> Response:
    """Datasets by name."""
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    found = await transact(request, datasets.groups, request.query_params.get("cursor", ""), limit + 1)
    rest = found[limit - 1]["name"] if len(found) > limit else None
    return reply(GroupPage(datasets=[_group_view(row) for row in found[:limit]], next=rest))


async def get(request: Request) -> Response:
    """One dataset. `latest` is its newest version that is complete."""
    return reply(_group_view(await group_row(request)))


async def create(request: Request) -> Response:
    """Make the next version of a dataset, and the dataset if it is new; it is built at once unless `build` is false."""
    group = request.path_params["group"]
    if GROUP.fullmatch(group) is None:
        raise Problem(400, "bad_name", "A name has 1 to 100 letters, digits, dots, dashes and underscores.")
    wanted = await read(request, VersionRequest)
    version = await make(request, group, wanted, repeat_of(request, wanted))
    view = await versions.view(request, version)
    return reply(view, 202, {"Location": f"/v1/datasets/{group}/versions/{view.version}", "Retry-After": "1"})


async def make(request: Request, group: str, wanted: VersionRequest, repeat: Repeat | None = None) -> UUID:
    """Make a version, and start its build if that is wanted. A repeated request gives the version of the first one."""
    services(request).pressure.check(Consumer.SPLITTER)
    who = request.state.identity

    def create(connection: Connection) -> UUID:
        def new() -> str:
            if wanted.build:
                quotas.check(connection, who.name, who.live_jobs)
            return str(datasets.create(connection, group, wanted, who.name))

        return UUID(repeats.once(connection, repeat, new))

    version = await transact(request, create)
    if wanted.build:
        await start(request, version)
    return version


async def start(request: Request, version: UUID) -> None:
    """Build what is not built of a version. Raises a 404 problem."""
    made = await transact(request, builds.build, version, author(request))
    if made is None:
        raise versions.unknown()
    services(request).outbox.publish(made)


async def version_page(request: Request) -> Response:
    """Versions of a dataset, newest first."""
    await group_row(request)
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    before = integer(request, "cursor", 2**30 - 1, 999_999_999) if "cursor" in request.query_params else None
    found = await transact(request, datasets.versions, request.path_params["group"], before, limit + 1)
    rest = str(found[limit - 1]["number"]) if len(found) > limit else None
    return reply(VersionPage(versions=[versions.summary(row) for row in found[:limit]], next=rest))


async def version(request: Request) -> Response:
    """One version, whole: how its build goes, what is in it, its archives. `latest` is the newest complete one."""
    return reply(await versions.of_row(request, await version_row(request)))


async def version_by_id(request: Request) -> Response:
    """One version, by its id."""
    return reply(await versions.view(request, _id(request)))


async def build(request: Request) -> Response:
    """Build a version; of one that has failed, only what is missing. Asking again gives the same jobs: 202."""
    row = await version_row(request)
    return await _built(request, row["id"])


async def build_by_id(request: Request) -> Response:
    """Build a version, by its id."""
    return await _built(request, _id(request))


async def resplit(request: Request) -> Response:
    """Split a version anew. Its pictures stay; its archives go, and are made again when asked for."""
    wanted = await read(request, SplitRequest)
    row = await version_row(request)
    await transact(request, datasets.rebalance, row["id"], wanted)
    return reply(await versions.view(request, row["id"]))


async def pack(request: Request) -> Response:
    """Make an archive of a version, or of a sample of it: 202. It waits for the build."""
    wanted = await read(request, ArchiveRequest)
    row = await version_row(request)
    await _admitted(request)
    made = await transact(request, builds.pack, row["id"], wanted.format, wanted.sample, author(request))
    if made is None:
        raise versions.unknown()
    services(request).outbox.publish(made)
    name = builds.archive_name(wanted.format, wanted.sample)
    return reply(await versions.view(request, row["id"]), 202, {"Location": f"{_here(row)}/archives/{name}"})


async def archive(request: Request) -> Response:
    """An archive: a redirect to its content. 409 while it is being made."""
    row = await version_row(request)
    for each in await transact(request, datasets.archives, row["id"]):
        if each["format"] == request.path_params["archive"]:
            if each["sha256"] is None:
                detail = each["error"] or "The archive is not there yet."
                raise Problem(409, "not_ready", detail, {"Retry-After": "1"}, state=each["state"])
            return RedirectResponse(f"/v1/files/{each['sha256']}/content", 307)
    raise Problem(404, "unknown_archive", "The version has no such archive; ask for it first.")


async def items(request: Request) -> Response:
    """Pictures of a version with split, objects, and links that need no token for `ttl` seconds."""
    row = await version_row(request)
    split = request.query_params.get("split")
    if split is not None and split not in SPLITS:
        raise Problem(400, "invalid_parameter", f"split is one of {', '.join(SPLITS)}.", field="split")
    limit = integer(request, "limit", 100, LARGEST_PAGE)
    ttl = integer(request, "ttl", DEFAULT_SECONDS, MOST_SECONDS)
    found = await transact(request, datasets.items, row["id"], split, _after(request), limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    rest = f"{last['task_id']}.{last['frame']}.{last['augmentation']}" if last is not None else None
    number = datasets.written(row["number"])
    shown = [versions.item(services(request).storage, row["group_name"], number, each, ttl) for each in found[:limit]]
    return reply(DatasetItemPage(group=row["group_name"], version=number, items=shown, next=rest))


async def delete(request: Request) -> Response:
    """Delete a version with what only it needs. The last one takes the dataset along."""
    if not await transact(request, datasets.delete, (await version_row(request))["id"]):
        raise versions.unknown()
    return Response(status_code=204)


async def _built(request: Request, version_id: UUID) -> Response:
    await _admitted(request)
    await start(request, version_id)
    return reply(await versions.view(request, version_id), 202, {"Retry-After": "1"})


async def _admitted(request: Request) -> None:
    """Raises a problem when there is no room for more jobs. A build makes as many as it needs, though."""
    services(request).pressure.check(Consumer.SPLITTER)
    who = request.state.identity
    await transact(request, quotas.check, who.name, who.live_jobs)


async def group_row(request: Request) -> db.Row:
    """The dataset in the path. Raises a 404 problem."""
    row = await transact(request, datasets.group, request.path_params["group"])
    if row is None:
        raise Problem(404, "unknown_dataset", "There is no such dataset.")
    return row


async def version_row(request: Request) -> db.Row:
    """The version in the path. Raises a 404 problem."""
    group, number = request.path_params["group"], request.path_params["version"]
    row = await transact(request, datasets.find, group, number) if VERSION.fullmatch(number) else None
    if row is None:
        raise versions.unknown()
    return row


def _id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["version_id"])
    except ValueError:
        raise versions.unknown() from None


def _after(request: Request) -> tuple[UUID, int, str]:
    given = request.query_params.get("cursor")
    if given is None:
        return datasets.START
    parts = CURSOR.fullmatch(given)
    try:
        if parts is None:
            raise ValueError(given)
        return UUID(parts[1]), int(parts[2]), parts[3]
    except ValueError:
        raise Problem(400, "bad_cursor", "The cursor is not one that this list gave.", field="cursor") from None


def author(request: Request) -> Author:
    """Whoever asks."""
    return Author(request.state.identity.name, request.state.traceparent)


def _here(row: db.Row) -> str:
    return f"/v1/datasets/{row['group_name']}/versions/{datasets.written(row['number'])}"


def _group_view(row: db.Row) -> GroupView:
    latest = datasets.written(row["latest"]) if row["latest"] is not None else None
    return GroupView.model_validate(dict(row) | {"latest": latest})
