"""The machine-readable contracts, served as they were generated from the registry and the route table."""

from importlib import resources

from starlette.requests import Request
from starlette.responses import Response


async def openapi(_: Request) -> Response:
    """The OpenAPI 3.1 document of this gateway."""
    return _document("openapi.json")


async def asyncapi(_: Request) -> Response:
    """The AsyncAPI 3 document of the broker's channels."""
    return _document("asyncapi.json")


def _document(name: str) -> Response:
    body = resources.files("schemas").joinpath("generated", name).read_bytes()
    return Response(body, media_type="application/json")
