"""Where a webhook may go: to addresses of the public Internet, and to no place inside our own network.

A name is looked up here, and the address that was found good is the one that is connected to: a name that points
somewhere else a moment later gains nothing.
"""

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv6Address

# Threads of their own: a name server that hangs must not hold up whatever else runs in a thread.
RESOLVERS = ThreadPoolExecutor(8, "resolver")
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Unreachable(Exception):
    """The name leads nowhere, or where no webhook may go; `code` says which."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def resolve(host: str, port: int, private: bool) -> list[str]:
    """The addresses behind a host. Raises Unreachable: `unknown_host`, or `private_address` unless those are allowed.

    One private address among several is enough to refuse: nobody has a good reason for such a name.
    """
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = await asyncio.get_running_loop().run_in_executor(RESOLVERS, look_up)
    except (OSError, UnicodeError):
        raise Unreachable("unknown_host") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not private and not all(is_public(address) for address in addresses):
        raise Unreachable("private_address")
    return addresses


def is_public(text: str) -> bool:
    """Whether an address belongs to the public Internet, also when it wraps another one."""
    address = ipaddress.ip_address(text.partition("%")[0])
    inner = _inside(address) if isinstance(address, IPv6Address) else None
    if inner is not None:
        return is_public(str(inner))
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast


def _inside(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for, if it does."""
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
