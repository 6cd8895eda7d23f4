"""Catching a consumer in the middle of its work, however fast it is, and however slow the test."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import psutil

from tests.system import System

T = TypeVar("T")


def halted(system: System, consumer: str, look: Callable[[], T | None]) -> T | None:
    """What is seen while the children of a consumer stand still. They go on when it is nothing, and else no further."""
    children = system.children(consumer)
    _each(children, psutil.Process.suspend)
    seen = look()
    if not seen:
        _each(children, psutil.Process.resume)
    return seen


def _each(children: list[psutil.Process], act: Callable[[psutil.Process], None]) -> None:
    for child in children:
        with suppress(psutil.NoSuchProcess):  # one that has grown fat is replaced
            act(child)
