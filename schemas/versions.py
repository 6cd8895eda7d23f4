"""Versions of a kind's parameters: which one a message says it has, and how an older one becomes today's. Pure.

The header `reelmill-version` says it, else the CloudEvents attribute `dataschema`; who says nothing means version 1.
"""

import re
from collections.abc import Mapping
from typing import Any

from schemas.registry import Kind
from schemas.wire import SCHEMAS, VERSION

# The binding of CloudEvents to AMQP allows both.
DATASCHEMA = ("cloudEvents_dataschema", "cloudEvents:dataschema")
LARGEST = 32767


class UnknownVersion(Exception):
    """The parameters are of a version that this process does not know, or of none."""


def told(kind: Kind, headers: Mapping[str, Any]) -> int:
    """The version that a message says its parameters have. Raises UnknownVersion."""
    if VERSION in headers:
        given = headers[VERSION]
    else:
        given = _of_dataschema(kind, next((headers[name] for name in DATASCHEMA if name in headers), None))
    text = str(given)
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    if isinstance(given, bool) or not 1 <= number <= LARGEST:
        raise UnknownVersion(f"the header {VERSION} is a whole number from 1 on")
    return number


def upgraded(kind: Kind, version: int, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters as the newest version has them; they may still be invalid. Raises UnknownVersion."""
    if version > kind.version:
        raise UnknownVersion(f"{kind.name} is known up to version {kind.version}; this is version {version}")
    for number, upgrade in enumerate(kind.upgrades[version - 1 :], start=version):
        try:
            params = upgrade(params)
        except (AttributeError, LookupError, TypeError, ValueError):
            raise UnknownVersion(f"these are no parameters of {kind.name} in version {number}") from None
    return params


def _of_dataschema(kind: Kind, uri: Any) -> int:
    """Only our own names say a version: a producer may point to a schema of his."""
    if uri is None:
        return 1
    found = re.fullmatch(rf"(?:{SCHEMAS})?{re.escape(kind.name)}\.v(\d{{1,5}})", str(uri))
    return int(found[1]) if found else 1
