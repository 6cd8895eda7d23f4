"""`/v1/kinds`: what can be asked for, from the registry, and what an operator says about it."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import read, reply
from gateway.problems import Problem
from gateway.services import transact
from infra import controls, db
from schemas.kinds import KindLimits, KindList, KindView
from schemas.registry import KINDS, Kind, Lane


async def listing(request: Request) -> Response:
    """Every kind with the JSON Schema of its parameters."""
    said = await transact(request, controls.by_kind)
    return reply(KindList(kinds=[_view(kind, said.get(kind.name)) for kind in KINDS.values()]))


async def pause(request: Request) -> Response:
    """Start no job of this kind until it is resumed. Jobs that run go on."""
    kind = _kind(request)
    await transact(request, controls.pause, kind.name, request.state.identity.name)
    return await _shown(request, kind)


async def resume(request: Request) -> Response:
    """Start jobs of this kind again."""
    kind = _kind(request)
    await transact(request, controls.resume, kind.name, request.state.identity.name)
    return await _shown(request, kind)


async def limit(request: Request) -> Response:
    """Change how many jobs of this kind run at once, or how often one starts."""
    kind = _kind(request)
    wanted = await read(request, KindLimits)
    if kind.lane is Lane.FAST:
        raise Problem(409, "fast_lane", "Jobs of the fast lane can be paused, but not limited.")
    given = wanted.model_dump(include=wanted.model_fields_set)
    await transact(request, controls.limit, kind.name, given, request.state.identity.name)
    return await _shown(request, kind)


def _kind(request: Request) -> Kind:
    kind = KINDS.get(request.path_params["kind"])
    if kind is None:
        raise Problem(404, "unknown_kind", "There is no such kind.", kinds=sorted(KINDS))
    return kind


async def _shown(request: Request, kind: Kind) -> Response:
    said = await transact(request, controls.by_kind)
    return reply(_view(kind, said.get(kind.name)))


def _view(kind: Kind, said: db.Row | None) -> KindView:
    limits = {name: getattr(kind.limits, name) for name in controls.LIMITS}
    if said is not None:
        limits |= {name: said[name] for name in controls.LIMITS if said[name] is not None}
    return KindView(
        name=kind.name,
        summary=kind.summary,
        consumer=kind.consumer.value,
        lane=kind.lane.value,
        version=kind.version,
        max_attempts=kind.limits.attempts,
        first_retry_seconds=kind.limits.first_retry_seconds,
        longest_retry_seconds=kind.limits.longest_retry_seconds,
        wall_seconds=kind.limits.wall_seconds,
        paused=said is not None and said["paused_at"] is not None,
        changed_by=said["changed_by"] if said is not None else None,
        changed_at=said["changed_at"] if said is not None else None,
        params_schema=kind.params.model_json_schema(),
        **limits,
    )
