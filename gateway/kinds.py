"""`/v1/kinds`: what can be asked for, straight from the registry."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.bodies import reply
from schemas.jobs import KindList, KindView
from schemas.registry import KINDS, Kind


async def listing(_: Request) -> Response:
    """Every kind with the JSON Schema of its parameters."""
    return reply(KindList(kinds=[_view(kind) for kind in KINDS.values()]))


def _view(kind: Kind) -> KindView:
    return KindView(
        name=kind.name,
        summary=kind.summary,
        consumer=kind.consumer.value,
        version=kind.version,
        max_attempts=kind.limits.attempts,
        wall_seconds=kind.limits.wall_seconds,
        params_schema=kind.params.model_json_schema(),
    )
