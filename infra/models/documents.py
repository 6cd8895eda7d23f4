"""YAML from strangers: plain values only, within limits, and asked for by type."""

from typing import Any, TypeVar

import yaml

from infra.models.archive import Archive, Unusable

T = TypeVar("T")


def load(archive: Archive, name: str) -> dict[str, Any]:
    """A mapping from a YAML file of an archive. Raises Unusable(`bad_config`)."""
    try:
        document = yaml.safe_load(archive.read(name))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _bad(name, "is not YAML") from error
    if not isinstance(document, dict):
        raise _bad(name, "is not a mapping")
    return document


def field(document: dict[str, Any], path: str, kind: type[T], default: T | None = None) -> T:
    """The value at a dotted path. Raises Unusable(`bad_config`) when it is missing or of another type."""
    value: Any = document
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None and default is not None:
        return default
    if not isinstance(value, kind):
        raise Unusable("bad_config", f"The configuration has no usable `{path}`.")
    return value


def number(document: dict[str, Any], path: str, default: float) -> float:
    """A number from 0 to 1."""
    value = field(document, path, object, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Unusable("bad_config", f"`{path}` is a number from 0 to 1.")
    return float(value)


def names(values: list[Any], what: str, most: int) -> list[str]:
    """A list of distinct names."""
    if not values or len(values) > most or not all(isinstance(v, str) and 0 < len(v) <= 64 for v in values):
        raise Unusable("bad_config", f"`{what}` is a list of 1 to {most} names.")
    if len(set(values)) < len(values):
        raise Unusable("bad_config", f"`{what}` has a name twice.")
    return list(values)


def bones(values: list[Any], points: list[str]) -> list[list[str]]:
    """The pairs of points that a skeleton joins; what names other points is left out."""
    known = set(points)
    pairs = [bone for bone in values[:1000] if isinstance(bone, list) and len(bone) == 2]
    return [[str(a), str(b)] for a, b in pairs if isinstance(a, str) and isinstance(b, str) and {a, b} <= known]


def _bad(name: str, why: str) -> Unusable:
    return Unusable("bad_config", f"{name.rpartition('/')[2]} {why}.")
