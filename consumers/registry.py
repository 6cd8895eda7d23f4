"""Who does what: every kind with its handler, on one screen. Named here, imported where the work is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from consumers.outcome import Done
from consumers.ports import Workspace
from schemas.registry import KINDS, Consumer, Kind, Lane

Handler = Callable[[Any, Workspace], Done]
#: Of a kind in the fast lane: a pure function from parameters to a result. What it raises is read as for any other.
FastHandler = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class Work:
    """A kind and the function that does it, as `module:function`."""

    kind: Kind
    handler: str


#: Whose jobs have a device to themselves.
ON_DEVICES = frozenset({Consumer.POSE.value})

HANDLERS: Mapping[str, str] = {
    "analyze.sleep": "consumers.analyzer.sleep:handle",
    "analyze.video": "consumers.analyzer.handlers:video",
    "analyze.label": "consumers.analyzer.handlers:label",
    "analyze.image": "consumers.analyzer.handlers:image",
    "analyze.label_image": "consumers.analyzer.handlers:label_image",
    "analyze.triangulate": "consumers.analyzer.handlers:triangulate",
    "analyze.label_3d": "consumers.analyzer.handlers:label_3d",
    "split.video": "consumers.splitter.handler:handle",
    "probe.echo": "consumers.dispatcher.echo:handle",
    "jobs.bulk": "consumers.keeper.bulk:handle",
    "export.labels": "consumers.exporter.handler:handle",
    "train.classifier": "consumers.exporter.training:handle",
    "split.images": "consumers.splitter.images:handle",
    "annotate.task": "consumers.annotation.detect:handle",
    "annotate.onnx": "consumers.annotation.detect:handle",
    "annotate.import": "consumers.annotation.importing:handle",
    "dataset.task": "consumers.datasets.build:handle",
    "dataset.archive": "consumers.datasets.archive:handle",
    "items.import": "consumers.keeper.items:import_items",
    "items.set_state": "consumers.keeper.items:set_states",
    "deliveries.check": "consumers.keeper.deliveries:handle",
}


def work_of(consumer: Consumer) -> dict[str, Work]:
    """What one consumer does, by kind. Raises KeyError for a kind without a handler."""
    return {name: Work(kind, HANDLERS[name]) for name, kind in KINDS.items() if kind.consumer is consumer}


def lane_of(work: Mapping[str, Work]) -> Lane:
    """The one lane of a consumer's kinds. Raises ValueError if they have several."""
    [lane] = {each.kind.lane for each in work.values()}
    return lane


def load(work: Work) -> Handler:
    """Import a handler."""
    return cast(Handler, _function(work))


def load_fast(work: Work) -> FastHandler:
    """Import a handler of the fast lane."""
    return cast(FastHandler, _function(work))


def _function(work: Work) -> Any:
    module, _, function = work.handler.partition(":")
    return getattr(import_module(module), function)
