"""Datasets: their versions, what is in each split, how a build goes, and the archives to take away."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway import datasets as api
from gateway import versions
from gateway.bodies import validated
from gateway.console import page, rendering
from gateway.problems import Problem, invalid
from gateway.services import services, transact
from infra import builds, datasets, projects
from infra.uploads import Refusal
from schemas.datasets import FORMATS, SPLITS, ArchiveRequest, VersionRequest

SHOWN = 50
PICTURES = 24


async def listing(request: Request) -> Response:
    """All datasets, and a form for a new version of one."""
    return await _listing(request)


async def create(request: Request) -> Response:
    """Make the next version of a dataset from the accepted tasks of projects."""
    fields = await page.form(request)
    group = page.text(fields, "group") or ""
    chosen = [name for each in fields.getlist("projects") for name in str(each).replace(",", " ").split()]
    try:
        if api.GROUP.fullmatch(group) is None:
            raise Problem(400, "bad_name", "A name has 1 to 100 letters, digits, dots, dashes and underscores.")
        wanted = VersionRequest.model_validate({"projects": chosen, "formats": fields.getlist("formats")})
        made = await api.make(request, group, wanted)
        view = await versions.view(request, made)
    except ValidationError as error:
        return await _listing(request, invalid(error))
    except (Problem, Refusal) as refused:
        return await _listing(request, refused)
    return page.back(f"{_at(group)}/{view.version}", "started")


async def show(request: Request) -> Response:
    """One dataset with its versions, newest first."""
    group = await api.group_row(request)
    found = await transact(request, datasets.versions, group["name"], None, SHOWN)
    return rendering.page(
        request,
        "datasets/dataset.html",
        group=group,
        path=_at(group["name"]),
        versions=[versions.summary(row) for row in found],
        most=SHOWN,
    )


async def version(request: Request) -> Response:
    """One version, whole, with some of its pictures."""
    row = await api.version_row(request)
    view = await versions.of_row(request, row)
    found = await transact(request, datasets.items, row["id"], None, datasets.START, PICTURES)
    return rendering.page(
        request,
        "datasets/version.html",
        version=view,
        path=_at(view.group),
        pictures=[_picture(each, view.classes) for each in found],
        formats=FORMATS,
        splits=SPLITS,
    )


async def build(request: Request) -> Response:
    """Build what is missing of a version."""
    row = await api.version_row(request)
    await api.start(request, row["id"])
    return page.back(f"{_at(row['group_name'])}/{datasets.written(row['number'])}", "started")


async def pack(request: Request) -> Response:
    """Make an archive of a version."""
    row = await api.version_row(request)
    wanted = validated({"format": page.text(await page.form(request), "format")}, ArchiveRequest)
    made = await transact(request, builds.pack, row["id"], wanted.format, wanted.sample, api.author(request))
    if made is None:
        raise versions.unknown()
    services(request).outbox.publish(made)
    return page.back(f"{_at(row['group_name'])}/{datasets.written(row['number'])}", "started")


def _picture(row: Any, classes: Sequence[str]) -> dict[str, Any]:
    """A picture of a version, its objects as boxes with the names of their classes."""
    return dict(row) | {"boxes": [each | {"label": classes[each["class"]]} for each in row["objects"]]}


async def _listing(request: Request, wrong: Problem | Refusal | None = None) -> Response:
    found = await transact(request, datasets.groups, request.query_params.get("after", ""), SHOWN + 1)
    rest = found[SHOWN - 1]["name"] if len(found) > SHOWN else None
    able = await transact(request, projects.page, "", SHOWN + 1)
    return rendering.page(
        request,
        "datasets/listing.html",
        wrong.status if wrong is not None else 200,
        rows=found[:SHOWN],
        written=datasets.written,
        older="/console/datasets?" + urlencode({"after": rest}) if rest else None,
        formats=FORMATS,
        projects=able[:SHOWN],
        more_projects=len(able) > SHOWN,
        project=request.query_params.get("project", ""),
        wrong=wrong,
    )


def _at(group: str) -> str:
    return f"/console/datasets/{quote(group, safe='')}"
