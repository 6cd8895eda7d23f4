"""A consumer that meets its end, or is frozen, at one exact point of its code.

    python -m tests.chaos.tripwire SIGKILL after consumers.runtime.admission:Admission.admit analyzer [kind=handler]

`before` or `after` the call of a function or a method, the first time it is made, the process sends itself the signal.
Kinds may get another handler, `module:function`.
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from operator import attrgetter
from typing import Any, cast

from consumers.__main__ import main
from consumers.registry import HANDLERS


def first_time(number: signal.Signals) -> Callable[[], None]:
    """Sends the signal to this process, the first time that it is called."""
    armed = True

    def strike() -> None:
        nonlocal armed
        if armed:
            armed = False
            os.kill(os.getpid(), number)

    return strike


def trip(strike: Callable[[], None], moment: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with the wire in front of it or behind it."""

    @wraps(function)
    def tripped(*given: Any, **named: Any) -> Any:
        if moment == "before":
            strike()
        result = function(*given, **named)
        if moment == "after":
            strike()
        return result

    return tripped


def lay(number: signal.Signals, moment: str, where: str, strike: Callable[[], None] | None = None) -> None:
    """Put the wire at `module:function` or `module:Class.method`. `strike`: what happens there, if not the signal."""
    module, _, path = where.partition(":")
    holder, _, name = path.rpartition(".")
    owner = import_module(module)
    if holder:
        owner = attrgetter(holder)(owner)
    setattr(owner, name, trip(strike or first_time(number), moment, getattr(owner, name)))


if __name__ == "__main__":
    lay(signal.Signals[sys.argv[1]], sys.argv[2], sys.argv[3])
    cast(dict[str, str], HANDLERS).update(pair.partition("=")[::2] for pair in sys.argv[5:])
    sys.argv[1:] = sys.argv[4:5]
    sys.exit(main())
