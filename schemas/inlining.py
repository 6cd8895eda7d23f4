"""JSON Schemas in one piece, for documents in which a reference to a definition would point at nothing."""

from typing import Any


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its definitions where they are used: elsewhere a reference would point at nothing."""
    definitions = schema.pop("$defs", {})

    def put_in(part: Any) -> Any:
        if isinstance(part, list):
            return [put_in(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return put_in(definitions[part["$ref"].removeprefix("#/$defs/")])
        return {key: put_in(value) for key, value in part.items()}

    return dict(put_in(schema))
