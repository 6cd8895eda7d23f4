"""Health and metrics for processes that serve no HTTP of their own: `/healthz`, `/readyz`, `/metrics`.

A thread of its own answers, so that a stuck main loop is seen rather than silent. It reports; it decides nothing.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from socketserver import TCPServer, ThreadingMixIn
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

import orjson
import prometheus_client
import structlog

from infra.settings import Settings

log = structlog.get_logger()

Check = Callable[[], bool]
REQUEST_SECONDS = 5


class Probes:
    """A small server on `metrics_host:metrics_port`.

    `alive` answers for `/healthz`, all of `checks` for `/readyz`; one that raises counts as failed. `about` is shown
    beside them.
    """

    def __init__(
        self,
        settings: Settings,
        alive: Check,
        checks: Mapping[str, Check],
        about: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._alive = alive
        self._checks = checks
        self._about = about
        self._metrics = prometheus_client.make_wsgi_app()
        self._server = _Server((settings.metrics_host, settings.metrics_port), _Handler)
        self._server.set_app(self._answer)
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)

    @property
    def port(self) -> int:
        """The port in use."""
        return self._server.server_port

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        log.info("probes answer", action="probes.ready", port=self.port)

    def stop(self) -> None:
        """Stop answering and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == "/metrics":
            return list(self._metrics(environ, start))
        if path == "/healthz":
            return _reply(start, _passes(self._alive), dict(self._about()))
        if path == "/readyz":
            checks = {name: _passes(check) for name, check in self._checks.items()}
            return _reply(start, all(checks.values()), {"checks": checks, **self._about()})
        start("404 Not Found", [("Content-Length", "0")])
        return []


def _passes(check: Check) -> bool:
    try:
        return check()
    except Exception as error:
        log.warning("a check failed", action="probes.check_failed", error=type(error).__name__)
        return False


def _reply(start: StartResponse, good: bool, body: dict[str, Any]) -> Iterable[bytes]:
    data = orjson.dumps({"status": "ok" if good else "unavailable", **body})
    start(
        "200 OK" if good else "503 Service Unavailable",
        [("Content-Type", "application/json"), ("Content-Length", str(len(data)))],
    )
    return [data]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        # Not HTTPServer's: that asks the resolver for the host's name, which may take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS  # a peer that says nothing is let go

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Scrapes are not news."""
