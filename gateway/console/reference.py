"""The API pages: OpenAPI and AsyncAPI as they were generated, made readable here. Nothing comes from elsewhere."""

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.console import rendering
from gateway.problems import Problem

DEPTH = 3
NAMES = {"native": "Native API", "legacy": "Older surfaces"}

#: Areas that are too small for a page of their own.
JOINED = {
    "changes": "facts",
    "events": "facts",
    "locations": "deliveries",
    "dataset": "datasets",
    "detectors": "tasks",
    "uploads": "projects",
    **dict.fromkeys(("clean", "workers", "queues", "openapi", "asyncapi"), "watching"),
}


@dataclass(frozen=True)
class Row:
    """A field of a body: where, what, and whether it has to be there."""

    depth: int
    name: str
    type: str
    required: bool
    about: str


async def http(request: Request) -> Response:
    """Every URL, from the OpenAPI document; what each takes and gives, of one area."""
    document = _document("openapi.json")
    groups = _operations(document)
    area = request.query_params.get("area", next(iter(groups)))
    if area not in groups:
        raise Problem(404, "unknown_area", "The API has no such area.")
    shown = {"document": document, "groups": groups, "area": area, "base": str(request.base_url)}
    return rendering.page(request, "reference/http.html", **shown)


async def messages(request: Request) -> Response:
    """Every channel and message, from the AsyncAPI document."""
    document = _document("asyncapi.json")
    return rendering.page(request, "reference/messages.html", document=document, operations=_channels(document))


async def runbooks(request: Request) -> Response:
    """What to do about each alert."""
    return rendering.page(request, "reference/runbooks.html", **_runbooks())


@cache
def _runbooks() -> dict[str, Any]:
    text = resources.files("infra").joinpath("deploy", "runbooks.md").read_text().replace("*", "")
    opening, *sections = text.split("\n## ")
    return {
        "lead": opening.partition("\n\n")[2].strip(),
        "runbooks": [(name, body.split("\n\n")) for name, _, body in (each.partition("\n") for each in sections)],
    }


@cache
def _document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(resources.files("schemas").joinpath("generated", name).read_bytes())
    return found


def _operations(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for verb, operation in methods.items():
            tag = operation["tags"][0]
            area = re.match(r"/v1/(\w+)", path)
            name = area[1] if area else NAMES["legacy"] if tag == "legacy" else "watching"
            name = JOINED.get(name, name)
            groups.setdefault(name, []).append(_operation(document, path, verb, operation))
    return groups


def _operation(document: dict[str, Any], path: str, verb: str, operation: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {})
    return {
        "id": operation["operationId"],
        "verb": verb,
        "path": path,
        "summary": operation["summary"],
        "role": operation.get("x-role"),
        "parameters": operation.get("parameters", []),
        "body": [(media, rows(document, each.get("schema", {}))) for media, each in body.items()],
        "replies": [
            (status, reply["description"], _shown(document, reply))
            for status, reply in operation["responses"].items()
            if status != "default"
        ],
    }


def _shown(document: dict[str, Any], reply: dict[str, Any]) -> list[tuple[str, list[Row]]]:
    return [(media, rows(document, each.get("schema", {}))) for media, each in reply.get("content", {}).items()]


def _channels(document: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, operation in document["operations"].items():
        channel = _resolved(document, operation["channel"])
        sent = [_resolved(document, message) for message in operation.get("messages", [])] or [
            _resolved(document, message) for message in channel.get("messages", {}).values()
        ]
        found.append(
            {
                "id": name,
                "verb": operation["action"],
                "address": channel.get("address") or name,
                "summary": operation.get("summary") or channel.get("description") or channel.get("title") or "",
                "messages": [_message(document, each) for each in sent],
            }
        )
    return found


def _message(document: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    payload = _resolved(document, message.get("payload", {}))
    return {
        "name": message.get("name") or message.get("title") or "message",
        "about": message.get("summary") or message.get("description") or "",
        "rows": _within(document, payload.get("schema", payload)),
        "headers": rows(document, message.get("headers", {})),
    }


def _within(document: dict[str, Any], schema: dict[str, Any]) -> list[Row]:
    """The fields of a schema that may bring its own definitions."""
    return rows(schema if "$defs" in schema else document, schema)


def rows(document: dict[str, Any], schema: dict[str, Any], depth: int = 0) -> list[Row]:
    """The fields of a schema, those of its inner objects behind them."""
    whole = _resolved(document, schema)
    if whole.get("type") == "array":
        return rows(document, whole.get("items", {}), depth)
    needed = set(whole.get("required", ()))
    found: list[Row] = []
    for name, each in whole.get("properties", {}).items():
        about = each.get("description") or _resolved(document, each).get("description", "")
        found.append(Row(depth, name, _type(document, each), name in needed, about))
        inner = next((option for option in each.get("anyOf", [each]) if option.get("type") != "null"), each)
        if depth < DEPTH - 1:
            found += rows(document, inner, depth + 1)
    return found


def _type(document: dict[str, Any], schema: dict[str, Any]) -> str:
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(_type(document, option) for option in options))
    whole = _resolved(document, schema)
    if "const" in whole:
        return f'"{whole["const"]}"'
    if "enum" in whole:
        return " | ".join(map(str, whole["enum"]))
    if whole.get("type") == "array":
        return f"list of {_type(document, whole.get('items', {}))}"
    kind = str(whole.get("format") or whole.get("type") or "anything")
    return kind if isinstance(kind, str) else "anything"


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """What a reference within the document points to."""
    for _ in range(5):
        reference = schema.get("$ref")
        if reference is None or not reference.startswith("#/"):
            return schema
        found: Any = document
        for step in reference[2:].split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        schema = found
    return schema
