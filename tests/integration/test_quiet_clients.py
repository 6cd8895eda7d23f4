"""A client that says nothing for a while keeps its connection, and is answered on it."""

import select
import socket

from tests.system import PATIENCE, System

#: Seconds. As long as HTTP clients commonly keep a connection that nobody uses, and a bit.
QUIET = 6.0


def test_a_quiet_connection_is_the_clients_to_give_up(system: System) -> None:
    """Else the next request may come while the server hangs up, which nobody can tell from one that was begun."""
    system.start("gateway")
    with socket.create_connection(("127.0.0.1", system.port), timeout=PATIENCE) as client:
        ask(client)
        assert select.select([client], [], [], QUIET)[0] == [], "the server hangs up"
        ask(client)


def ask(client: socket.socket) -> None:
    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    heard = b""
    while b"\r\n\r\n" not in heard or not heard.endswith(b"}"):
        piece = client.recv(65536)
        assert piece, heard
        heard += piece
    assert heard.startswith(b"HTTP/1.1 200 ")
