"""Requests and bodies made worse: one or two things changed at random, the rest as it was. Pure."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import orjson

#: Values that have broken systems before.
NASTY: tuple[Any, ...] = (
    "", "\x00", "'; drop table jobs; --", "../../../etc/passwd", "%00", "\u202e", "{{7*7}}", "${jndi:x}", "-1", "NaN",
    "1e999", "9" * 400, "a" * 5000, "<script>", "*", "()", "[]", "null", "2030-01-01", "0001-01-01T00:00:00Z", "٣",
    None, True, 0, -1, 1.5, 2**31, 2**63, 2**70, 1e308, [], {}, [[]], [None], {"a": {"b": []}}, ["x"] * 2000,
)  # fmt: skip
TYPES = ("application/json", "text/plain", "application/x-ndjson", "multipart/form-data", "application/zip", "x", "")


@dataclass(frozen=True)
class Call:
    """One request as it goes out."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    content: bytes


def worse(call: Call, known: Sequence[str], chance: random.Random) -> Call:
    """The call with one to three changes. `known` are ids of things that exist."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        call = chance.choice(CHANGES)(call, known, chance)
    return call


def worse_bytes(data: bytes, chance: random.Random) -> bytes:
    """Bytes cut, flipped, doubled, or with something put in."""
    if not data:
        return chance.randbytes(chance.randrange(1, 100))
    at = chance.randrange(len(data))
    return chance.choice(
        (
            data[:at],
            data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :],
            data[:at] + chance.randbytes(chance.randrange(1, 20)) + data[at:],
            data[at:] + data,
            data[:at] + data[min(len(data), at + chance.randrange(1, 64)) :],
        )
    )


def worse_json(value: Any, chance: random.Random) -> Any:
    """A document with one of its values, somewhere in it, changed, gone or misnamed."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        dice = chance.random()
        if dice < 0.1:
            return {k: v for k, v in value.items() if k != key}
        if dice < 0.2:
            return {**value, chance.choice(("", "x" * 300, f"{key}_")): value[key]}
        return {**value, key: worse_json(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        return [*value[:at], worse_json(value[at], chance), *value[at + 1 :]]
    return chance.choice(NASTY)


def _in_path(call: Call, known: Sequence[str], chance: random.Random) -> Call:
    parts = call.path.split("/")
    at = chance.randrange(1, len(parts))
    new = chance.choice(known) if chance.random() < 0.5 else str(chance.choice(NASTY))[:600]
    return replace(call, path="/".join([*parts[:at], quote(new, safe="") or "x", *parts[at + 1 :]]))


def _in_query(call: Call, known: Sequence[str], chance: random.Random) -> Call:
    new = chance.choice(known) if chance.random() < 0.3 else str(chance.choice(NASTY))[:2000]
    if not call.query:
        name = chance.choice(("limit", "cursor", "state", "project", "since", "types", "x"))
        return replace(call, query=((name, new),))
    at = chance.randrange(len(call.query))
    return replace(call, query=(*call.query[:at], (call.query[at][0], new), *call.query[at + 1 :]))


def _in_body(call: Call, known: Sequence[str], chance: random.Random) -> Call:
    try:
        document = orjson.loads(call.content)
    except orjson.JSONDecodeError:
        return replace(call, content=worse_bytes(call.content, chance)) if call.content else call
    if chance.random() < 0.25:
        return replace(call, content=worse_bytes(call.content, chance))
    changed = worse_json(document, chance)
    try:
        return replace(call, content=orjson.dumps(changed))
    except TypeError:  # a number beyond 64 bits
        return replace(call, content=repr(changed).replace("'", '"').replace("None", "null").encode())


def _in_headers(call: Call, known: Sequence[str], chance: random.Random) -> Call:
    name = chance.choice(
        ("content-type", "idempotency-key", "range", "if-none-match", "if-range", "accept", "prefer", "traceparent")
    )
    value = chance.choice(
        (*TYPES, "bytes=0-", "bytes=9-1", "bytes=" + "0-1," * 50, "*", "wait=0", 'W/"x"', "é", "k" * 300)
    )
    return replace(call, headers=call.headers | {name: value})


Change = Callable[[Call, Sequence[str], random.Random], Call]
CHANGES: tuple[Change, ...] = (_in_path, _in_query, _in_body, _in_body, _in_headers)
