"""`python -m infra.relay`: run a relay until told to stop. Run as many as you like; one of them leads."""

import asyncio
import signal
import sys

from infra import settings, telemetry
from infra.probes import Probes
from infra.relay.relay import Relay
from infra.settings import Settings


def main() -> int:
    """Run. Exits with 2 and a sentence when the environment is not usable."""
    try:
        chosen = settings.read()
    except settings.ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    telemetry.configure(chosen, "relay")
    asyncio.run(_run(chosen))
    return 0


async def _run(chosen: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    relay = Relay(chosen)
    checks = {"database": relay.reaches_database, "broker": relay.reaches_broker}
    with Probes(chosen, relay.alive, checks, relay.about):
        await relay.run(stop)


if __name__ == "__main__":
    raise SystemExit(main())
