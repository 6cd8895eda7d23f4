"""`reelmill openapi`, `reelmill asyncapi`: the contracts, as this gateway gives them."""

import typer

from infra.cli.context import AlwaysJson, client, show


def openapi(context: typer.Context, _as_json: AlwaysJson = False) -> None:
    """Print the OpenAPI document."""
    show(client(context).call("GET", "/v1/openapi.json"))


def asyncapi(context: typer.Context, _as_json: AlwaysJson = False) -> None:
    """Print the AsyncAPI document."""
    show(client(context).call("GET", "/v1/asyncapi.json"))
