"""Any process of the system, killed at one point of its code, once in the life of the system.

    python -m tests.chaos.once SIGKILL before infra.events:mark FLAG parent relay

What starts it again finds the file FLAG and lives. With `child`, the wire is in the children that do heavy work.
"""

import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from tests.chaos.tripwire import lay

MAINS = {"gateway": "gateway.__main__", "relay": "infra.relay.__main__"}
WIRE = "TRIPWIRE"


def armed(flag: Path, strike: Callable[[], None]) -> Callable[[], None]:
    """The blow, the first time that anybody gets here."""

    def once() -> None:
        try:
            flag.touch(exist_ok=False)
        except FileExistsError:
            return
        strike()

    return once


def _lay(number: str, moment: str, where: str, flag: str) -> None:
    kill = signal.Signals[number]
    lay(kill, moment, where, armed(Path(flag), lambda: os.kill(os.getpid(), kill)))


def _main() -> int:
    number, moment, where, flag, which, process = sys.argv[1:]
    if which == "child":
        os.environ[WIRE] = "\n".join((number, moment, where, flag))
    else:
        _lay(number, moment, where, flag)
    sys.argv[1:] = [] if process in MAINS else [process]
    return int(import_module(MAINS.get(process, "consumers.__main__")).main())


if __name__ == "__main__":
    sys.exit(_main())
elif __name__ == "__mp_main__" and WIRE in os.environ:
    _lay(*os.environ[WIRE].split("\n"))
