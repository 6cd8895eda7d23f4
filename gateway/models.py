"""`/v1/models`: register what analyses work with, look at it, and find the version that a job means."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway import uploads
from gateway.bodies import LARGEST_PAGE, integer, media_type, read, reply, validated
from gateway.problems import Problem
from gateway.references import resolve
from gateway.services import in_thread, services, tenant_of, transact
from infra.models import registration, rows
from infra.models.archive import Unusable
from infra.models.rows import Registered
from schemas.models import FITTING, ModelKind, ModelPage, ModelRequest, ModelVersions, ModelView

ZIP = "application/zip"
SHOWN = 100
#: What is wrong with the request's names, rather than with what they refer to.
STATUS = {"unknown_file": 404, "name_taken": 409}
ENGINES = {ModelKind.DLC: "deeplabcut", ModelKind.TRACKER: "opencv", ModelKind.RIG: "opencv"}


async def create(request: Request) -> Response:
    """Register a model: 201 for a new version, 200 for the one that is the same.

    As JSON with the id of an uploaded archive; or the archive itself as `application/zip`, with `?name=`.
    """
    if media_type(request) == ZIP:
        row, _ = await uploads.store(request)
        body = {"name": request.query_params.get("name"), "kind": ModelKind.DLC, "file": row["sha256"]}
        wanted = validated(body, ModelRequest)
    else:
        wanted = await read(request, ModelRequest)
    model, created = await registered(request, wanted)
    return reply(_view(model), 201 if created else 200, {"Location": _link(model)})


async def page(request: Request) -> Response:
    """Models by name, each at its newest version."""
    limit = integer(request, "limit", SHOWN, LARGEST_PAGE)
    listed = await transact(request, rows.page, request.query_params.get("cursor", ""), limit + 1)
    rest = listed[limit - 1].name if len(listed) > limit else None
    return reply(ModelPage(models=[_view(model) for model in listed[:limit]], next=rest))


async def get(request: Request) -> Response:
    """A model: `name` is its newest version, `name@2` its second."""
    return reply(_view(await found(request)))


async def versions(request: Request) -> Response:
    """All versions of a model, newest first."""
    all_of_it = await transact(request, rows.versions, request.path_params["model"])
    if not all_of_it:
        raise await _unknown(request, request.path_params["model"])
    return reply(ModelVersions(versions=[_view(model) for model in all_of_it]))


async def delete(request: Request) -> Response:
    """Delete a version. 409 while a live job or a rig needs it; results that it has made stay."""
    model = await found(request)
    if model.name == rows.BUILT_IN:
        raise Problem(409, "built_in", "The built-in model stays.")
    try:
        gone = await transact(request, rows.delete, model)
    except rows.InUse as error:
        raise Problem(409, "model_in_use", "Something still needs this model.", users=list(error.users)) from None
    if not gone:
        raise await _unknown(request, model.reference)
    return Response(status_code=204)


async def pinned(request: Request, kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters with the model's version in them: a newer one does not change what was asked for.

    Raises a 400 problem that lists the models, when this is none or none that fits.
    """
    if kind not in FITTING:
        return params
    model = await transact(request, _get, params["model"])
    if model is None:
        raise await _unknown(request, params["model"], 400)
    if model.kind not in FITTING[kind]:
        raise Problem(400, "wrong_model", f"{kind} does not work with a model of kind {model.kind}.", field="model")
    _check_cameras(model, params)
    return params | {"model": model.reference}


async def known(request: Request) -> list[str]:
    """The names of the models, as many as a sentence takes."""
    return [model.name for model in await transact(request, rows.page, "", SHOWN)]


def _check_cameras(model: Registered, params: dict[str, Any]) -> None:
    rig = [camera["name"] for camera in model.details.get("cameras", ())]
    asked = [params[field] for field in ("camera", "camera2") if params.get(field) is not None]
    if not set(asked) <= set(rig):
        raise Problem(400, "unknown_camera", f"The rig's cameras are {' and '.join(rig)}.", cameras=rig)
    if len(set(asked)) < len(asked):
        raise Problem(400, "same_camera", "The two videos are from different cameras.", cameras=rig)


async def registered(request: Request, wanted: ModelRequest) -> tuple[Registered, bool]:
    """Register a model; its version, and whether it is new. Raises problems."""
    archive = await resolve(request, wanted.file) if wanted.file is not None else None
    given = services(request)
    by = request.state.identity.name
    try:
        return await in_thread(
            registration.register, given.engine, given.storage, wanted, archive, by, tenant_of(request)
        )
    except Unusable as error:
        status = STATUS.get(error.code, 400)
        raise Problem(status, error.code, error.message) from None


async def found(request: Request) -> Registered:
    """The model in the path. Raises a 404 problem."""
    reference = request.path_params["model"]
    model = await transact(request, _get, reference)
    if model is None:
        raise await _unknown(request, reference)
    return model


def _get(connection: Any, reference: str) -> Registered | None:
    name, _, version = reference.partition("@")
    if version and not (version.isascii() and version.isdigit() and len(version) <= 6):
        return None
    return rows.get(connection, f"{name}@{int(version)}" if version else name)


async def _unknown(request: Request, reference: str, status: int = 404) -> Problem:
    return Problem(
        status, "unknown_model", f"There is no model {reference}.", field="model", models=await known(request)
    )


def _link(model: Registered) -> str:
    return f"/v1/models/{model.reference}"


def _view(model: Registered) -> ModelView:
    here = _link(model)
    links = {"self": here, "versions": f"/v1/models/{model.name}/versions"}
    if model.sha256 is not None:
        links["archive"] = f"/v1/files/{model.sha256}"
    return ModelView(
        name=model.name,
        version=model.version,
        kind=model.kind,
        engine=ENGINES[model.kind],
        analyses=sorted(kind for kind, fitting in FITTING.items() if model.kind in fitting),
        digest=model.digest,
        file_id=model.sha256,
        points=rows.points_of(model),
        details=model.details,
        created_by=model.created_by,
        created_at=model.created_at,
        links=links,
    )
