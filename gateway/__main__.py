"""`python -m gateway`: serve HTTP until told to stop."""

import sys

import uvicorn

from gateway.app import create
from gateway.wire import Connection
from infra import garbage, settings, telemetry

KEEP_SECONDS = 75
"""A quiet connection is kept for longer than clients and proxies use one: else a request comes as it is closed."""


def main() -> int:
    """Serve. Exits with 2 and a sentence when the environment is not usable."""
    try:
        chosen = settings.read()
    except settings.ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    telemetry.configure(chosen, "gateway")
    server = uvicorn.Server(
        uvicorn.Config(
            create(chosen),
            host=chosen.http_host,
            port=chosen.http_port,
            log_config=None,
            access_log=False,
            server_header=False,
            http=Connection,
            timeout_keep_alive=KEEP_SECONDS,
            lifespan="on",
            timeout_graceful_shutdown=max(1, int(chosen.grace_seconds)),
        )
    )
    garbage.spare()
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    raise SystemExit(main())
