"""`/v1/labelling-projects`: annotation projects and their feed. Only members see a project; admins see all."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import parsed, read, read_bytes, reply
from gateway.problems import Problem
from gateway.services import services, transact
from infra import labelling
from infra.labelling import Batch, Standing
from infra.tokens import Role
from schemas.labelling import (
    Import,
    Imported,
    LabelledRows,
    LabellingProjectRequest,
    LabellingProjectView,
    Rows,
    TimestampRequest,
    TimestampView,
    VoteRequest,
    VoteView,
)

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


async def put(request: Request) -> Response:
    """Make a project (201), or change its votes, members and labels (200). Whoever makes it is a member."""
    name = request.path_params["project"]
    if NAME.fullmatch(name) is None:
        raise Problem(400, "bad_name", "A name has 1 to 63 characters of a-z, 0-9, dot, dash and underscore.")
    wanted = (await read(request, LabellingProjectRequest)).model_dump()
    caller = request.state.identity.name
    if await transact(request, labelling.standing, name, caller) is not None:
        await member(request)
    created = await transact(request, labelling.put, name, wanted, caller)
    if created is None:
        raise Problem(409, "features_fixed", "The project has other features, and they cannot be changed.")
    return reply(await _view(request, name), 201 if created else 200, {"Location": f"/v1/labelling-projects/{name}"})


async def get(request: Request) -> Response:
    """A project, and how far its labelling is."""
    return reply(await _view(request, (await member(request)).name))


async def add(request: Request) -> Response:
    """Add datapoints, labels, and datapoints that have a label. What is there already is not added again."""
    project = await member(request)
    raw = await read_bytes(request, services(request).settings.batch_limit)
    wanted = parsed(raw, Import)
    return reply(Imported.model_validate(await transact(request, _add, project, wanted)))


async def vote(request: Request) -> Response:
    """Label a datapoint. Everybody has one vote for each: 409 for a second one."""
    project = await member(request)
    wanted = await read(request, VoteRequest)
    row = await voted(request, project.name, wanted)
    return reply(VoteView(datapoint=row["id"], votes=row["votes"], label=row["label"]), 201)


async def note_time(request: Request) -> Response:
    """Note when somebody began to look at a datapoint, and when he was done."""
    project = await member(request)
    wanted = await read(request, TimestampRequest)
    who, span = annotator(request, wanted.annotator), (wanted.start_time, wanted.end_time)
    try:
        number = await transact(request, labelling.note_time, project.name, wanted.datapoint, who, span)
    except labelling.UnknownDatapoint:
        raise unknown_datapoint() from None
    return reply(TimestampView(id=number), 201)


async def voted(request: Request, project: str, wanted: VoteRequest) -> Any:
    """Take a vote; the datapoint as it is then. Raises problems."""
    who = annotator(request, wanted.annotator)
    try:
        return await transact(request, labelling.vote, project, wanted.datapoint, who, wanted.label)
    except labelling.UnknownDatapoint:
        raise unknown_datapoint() from None
    except labelling.UnknownLabel:
        raise Problem(400, "unknown_label", "The project has no such label.", field="label") from None
    except labelling.VotedAlready:
        raise Problem(409, "voted_already", "This person has voted on this datapoint.") from None


async def member(request: Request, project: str | None = None) -> Standing:
    """The project in the path, or another, of which the caller is a member. 404 when there is none, 403 for others."""
    who = request.state.identity
    name = request.path_params["project"] if project is None else project
    found = await transact(request, labelling.standing, name, who.name)
    if found is None:
        raise Problem(404, "unknown_project", "There is no such project.")
    if not found.member and not who.may(Role.ADMIN):
        raise Problem(403, "not_a_member", "Only members of the project may do this.")
    return found


def annotator(request: Request, named: str | None) -> str:
    """Who labels: the caller, or for an admin whoever he names."""
    who = request.state.identity
    if named is not None and named != who.name and not who.may(Role.ADMIN):
        raise Problem(403, "not_yourself", "Only an admin may speak for others.", field="annotator")
    return named or str(who.name)


def unknown_datapoint() -> Problem:
    """The project has no such datapoint."""
    return Problem(404, "unknown_datapoint", "The project has no such datapoint.")


async def _view(request: Request, name: str) -> LabellingProjectView:
    return LabellingProjectView.model_validate(await transact(request, labelling.get, name))


def _add(connection: Connection, project: Standing, wanted: Import) -> dict[str, int]:
    batches = [_batch(project, wanted, "data")]
    labels = _column(wanted.labels)
    if wanted.init is not None:
        batches.append(_batch(project, wanted.init, "init.data"))
        labels = [*labels, *_column(wanted.init.label)]
    labelling.add_labels(connection, project.name, labels)
    added = sum(labelling.add(connection, project, batch) for batch in batches if batch.keys)
    return {"added": added, "known": sum(len(batch.keys) for batch in batches) - added}


def _batch(project: Standing, rows: Rows, field: str) -> Batch:
    """Rows by column, each content once. Raises a 400 problem when columns do not fit each other or the project."""
    data = _column(rows.data)
    contents = [_content(project, value, f"{field}.{n}") for n, value in enumerate(data)]
    keys = rows.keys or [f"sha256:{hashlib.sha256(content.encode()).hexdigest()}" for content in contents]
    labels = _column(rows.label) if isinstance(rows, LabelledRows) else [None] * len(data)
    if not len(keys) == len(data) == len(labels):
        raise Problem(400, "uneven_columns", f"The columns beside {field} have another length.", field=field)
    first: dict[str, tuple[str, str | None]] = {}
    for key, content, label in zip(keys, contents, labels, strict=True):
        first.setdefault(key, (content, label))
    return Batch(list(first), [content for content, _ in first.values()], [label for _, label in first.values()])


def _column(given: Sequence[Any] | dict[str, Any]) -> Sequence[Any]:
    return list(given.values()) if isinstance(given, dict) else given


def _content(project: Standing, value: Any, field: str) -> str:
    """A text as it is, a vector as the database reads it."""
    if isinstance(value, str) == bool(project.dimension):
        wanted = f"vectors of {project.dimension} numbers" if project.dimension else "texts"
        raise Problem(400, "wrong_content", f"The datapoints of this project are {wanted}.", field=field)
    if isinstance(value, str):
        return value
    if len(value) != project.dimension:
        raise Problem(400, "wrong_content", f"A datapoint has {project.dimension} numbers.", field=field)
    return "{" + orjson.dumps(value).decode()[1:-1] + "}"
