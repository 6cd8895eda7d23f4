"""Who does what: every kind with its handler, on one screen. Named here, imported in the child only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from consumers.outcome import Done
from consumers.ports import Workspace
from schemas.registry import KINDS, Consumer, Kind

Handler = Callable[[Any, Workspace], Done]


@dataclass(frozen=True)
class Work:
    """A kind and the function that does it, as `module:function`."""

    kind: Kind
    handler: str


HANDLERS: Mapping[str, str] = {
    "analyze.sleep": "consumers.analyzer.sleep:handle",
    "split.video": "consumers.splitter.handler:handle",
}


def work_of(consumer: Consumer) -> dict[str, Work]:
    """What one consumer does, by kind. Raises KeyError for a kind without a handler."""
    return {name: Work(kind, HANDLERS[name]) for name, kind in KINDS.items() if kind.consumer is consumer}


def load(work: Work) -> Handler:
    """Import a handler."""
    module, _, function = work.handler.partition(":")
    return cast(Handler, getattr(import_module(module), function))
