"""`python -m gateway`: serve HTTP until told to stop."""

import gc
import sys

import uvicorn

from gateway.app import create
from gateway.wire import Connection
from infra import settings, telemetry


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
            lifespan="on",
            timeout_graceful_shutdown=max(1, int(chosen.grace_seconds)),
        )
    )
    # What is there by now stays. The collector looks at it no more, which would hold the loop for 80 ms now and then.
    # What requests in flight hold goes by itself, so it looks for cycles more rarely than after every few of them.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    raise SystemExit(main())
