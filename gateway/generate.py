"""`python -m gateway.generate [FOLDER]`: write the contracts. A test fails when the committed ones differ."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

import schemas
from gateway import openapi
from gateway.routes import ENDPOINTS
from schemas import asyncapi
from schemas.registry import KINDS

OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def documents() -> dict[str, dict[str, Any]]:
    """Every generated document by its path below `schemas/generated`."""
    release = version("reelmill")
    kinds = {f"kinds/{kind.name}.v{kind.version}.json": asyncapi.params_schema(kind) for kind in KINDS.values()}
    return {
        "openapi.json": openapi.document(ENDPOINTS, release),
        "asyncapi.json": asyncapi.document(release),
        **kinds,
    }


def main(folder: Path) -> None:
    """Write all documents."""
    for name, document in documents().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(document, option=OPTIONS))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(schemas.__path__[0]) / "generated")
