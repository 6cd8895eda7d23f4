"""Names of hosts in one form, however a caller writes them: lower case, ASCII, without what is usual anyway."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

import idna
from pydantic import AfterValidator, StringConstraints

USUAL_PORTS = frozenset({80, 443})
LONGEST_HOST = 253
ABSOLUTE = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")


def normalise(address: str) -> str:
    """The host of an address, with its port unless that is a usual one. Raises ValueError when there is none."""
    text = address.strip()
    if not text.isprintable():
        raise ValueError("not an address")
    absolute = ABSOLUTE.match(text)
    try:
        parts = urlsplit(text if absolute else f"//{text}")
        port, name = parts.port, parts.hostname or ""
    except ValueError:
        raise ValueError("not an address") from None
    if not absolute and parts.netloc.endswith(":"):
        raise ValueError("not an address")  # what stands before the colon is a scheme, and no host follows it
    host = _literal(name) if ":" in name else _named(name.rstrip("."))
    return host if port is None or port in USUAL_PORTS else f"{host}:{port}"


def _named(name: str) -> str:
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError:
            raise ValueError("not the name of a host") from None
    if len(name) > LONGEST_HOST or not NAME.fullmatch(name.lower()):
        raise ValueError("not the name of a host")
    return name.lower()


def _literal(name: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(name.partition('%')[0]).compressed}]"
    except ValueError:
        raise ValueError("not the name of a host") from None


Host = Annotated[str, StringConstraints(max_length=2000), AfterValidator(normalise)]
"""A host, given by its name or by any address at it."""
