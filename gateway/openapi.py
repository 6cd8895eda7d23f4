"""OpenAPI 3.1, made from the route table and the models: a route without documentation cannot exist."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.endpoint import Endpoint
from schemas.jobs import ProblemView
from schemas.lines import NDJSON
from schemas.registry import KINDS

REF = "#/components/schemas/{model}"
PROBLEM = {"application/problem+json": {"schema": {"$ref": REF.format(model=ProblemView.__name__)}}}
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 200},
    "description": "Repeating a request with the same key gives what the first one made.",
}
REPEATABLE = {
    "/v1/jobs",
    "/analysis",
    "/api/download/next",
    "/api/download/batch",
    "/v1/projects/{project_id}/uploads",
    "/v1/datasets/{group}/versions",
    "/v1/classifiers/{classifier_id}/exports",
}


def document(endpoints: Iterable[Endpoint], version: str) -> dict[str, Any]:
    """The OpenAPI document of these endpoints."""
    table = tuple(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in table:
        path = re.sub(r":\w+}", "}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Reelmill",
            "version": version,
            "description": "An event-driven job system for making datasets out of media.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(table),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _schemas(endpoints: tuple[Endpoint, ...]) -> dict[str, Any]:
    models: dict[str, type[BaseModel]] = {ProblemView.__name__: ProblemView}
    for endpoint in endpoints:
        for model in (endpoint.body, endpoint.reply, *endpoint.also.values(), *endpoint.media.values(), endpoint.line):
            if isinstance(model, type):
                models[model.__name__] = model
    models |= {kind.params.__name__: kind.params for kind in KINDS.values()}
    _, schema = models_json_schema([(m, "validation") for _, m in sorted(models.items())], ref_template=REF)
    return dict(sorted(schema["$defs"].items()))


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "tags": ["legacy" if endpoint.legacy else "native"],
        "responses": {
            str(endpoint.status): _success(endpoint.status, endpoint.reply),
            **{str(status): _success(status, reply) for status, reply in endpoint.also.items()},
            **_of_lines(endpoint),
            "default": {"description": "Problem", "content": PROBLEM},
        },
        "security": [{"token": []}, {"basic": []}] if endpoint.role is not None else [],
    }
    if endpoint.role is not None:
        operation["x-role"] = endpoint.role.value
    parameters = _parameters(endpoint)
    if parameters:
        operation["parameters"] = parameters
    if endpoint.body is not None:
        media = {name: _items(name, model) for name, model in endpoint.media.items()}
        operation["requestBody"] = {"required": True, "content": _content(endpoint.body) | media}
    return operation


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)(?::\w+)?}", endpoint.path)
    path = [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names]
    query = [{"name": n, "in": "query", "schema": {"type": "string"}} for n in endpoint.query]
    return [*path, *query, *([IDEMPOTENCY] if endpoint.path in REPEATABLE and endpoint.method == "POST" else [])]


def _success(status: int, reply: type[BaseModel] | str | None) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if reply is not None:
        response["content"] = _content(reply)
    return response


def _content(what: type[BaseModel] | str) -> dict[str, Any]:
    if isinstance(what, str):
        return {what: {"schema": {} if what == "application/json" else {"type": "string", "format": "binary"}}}
    return {"application/json": {"schema": {"$ref": REF.format(model=what.__name__)}}}


def _of_lines(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.line is None:
        return {}
    lines = {NDJSON: _items(NDJSON, endpoint.line)}
    every = _success(endpoint.status, endpoint.reply)
    return {
        str(endpoint.status): every | {"content": every["content"] | lines},
        "207": {"description": "Not every line was taken", "content": lines},
    }


def _items(media: str, model: type[BaseModel]) -> dict[str, Any]:
    ref = {"$ref": REF.format(model=model.__name__)}
    if media == NDJSON:
        return {"schema": {"type": "string", "description": "A JSON object a line."}, "x-line": ref}
    return {"schema": {"type": "array", "items": ref} if "batch" in media else ref}


def _operation_id(endpoint: Endpoint) -> str:
    # Clients are generated from these, so how an address is matched changes none; those of paths were given before.
    words = re.findall(r"[a-z0-9]+", re.sub(r":(?!path})\w+}", "}", endpoint.path).lower())
    return "_".join([endpoint.method.lower(), *words])
