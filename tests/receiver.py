"""The other side of webhooks: a real HTTP server that notes what comes and answers as it is told."""

import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass(frozen=True)
class Letter:
    """One request that came."""

    headers: dict[str, str]
    body: bytes

    @property
    def fact(self) -> dict[str, Any]:
        """What it tells."""
        return dict(orjson.loads(self.body))


@dataclass
class Receiver:
    """What came, by path; what to answer there next (200 when nothing is said); whom to keep waiting."""

    url: str
    letters: dict[str, list[Letter]] = field(default_factory=lambda: defaultdict(list))
    answers: dict[str, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    held: set[str] = field(default_factory=set)
    released: threading.Event = field(default_factory=threading.Event)

    def numbers(self, path: str) -> list[int]:
        """The numbers of the facts that came, in order."""
        return [letter.fact["seq"] for letter in list(self.letters[path])]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a loopback port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if len(body) < int(self.headers["Content-Length"]):
                self.close_connection = True  # whoever was killed on the way has sent nothing
                return
            found.letters[self.path].append(Letter({k.lower(): v for k, v in self.headers.items()}, body))
            if self.path in found.held:
                found.released.wait()
            status = found.answers[self.path].popleft() if found.answers[self.path] else 200
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Who was killed while he waited for an answer does not get one."""

    server = Server(("127.0.0.1", 0), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield found
    finally:
        found.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
