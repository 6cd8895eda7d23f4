"""What every producer process does: say that it is ready, then send as many jobs as each line it reads says."""

import sys
from collections.abc import Callable


def obey(send: Callable[[int], None]) -> None:
    """For each number that comes in, send that many jobs and say so."""
    print("ready", flush=True)
    for line in sys.stdin:
        send(int(line))
        print("sent", flush=True)
