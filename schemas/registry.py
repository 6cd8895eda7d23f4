"""The one registry of kinds: what can be asked for, by whom it is done, and within which limits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.analyses import (
    ImageAnalysis,
    Label3D,
    LabelImage,
    LabelVideo,
    Sleep,
    Triangulate,
    VideoAnalysis,
)
from schemas.bulk import Bulk
from schemas.catalogue import ImportItems, SetStates
from schemas.datasets import DatasetArchive, DatasetTask
from schemas.deliveries import CheckDelivery
from schemas.detection import AnnotateOnnx, AnnotateTask, ImportAnnotations
from schemas.echo import Echo
from schemas.exports import ExportLabels, TrainClassifier, export_key, export_of_text
from schemas.fields import Strict
from schemas.splitting import SplitVideo, since_version_1
from schemas.uploads import SplitImages

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
LiveKey = Callable[[dict[str, Any]], str]
OldText = Callable[[bytes], dict[str, Any] | None]


class Lane(StrEnum):
    """How a delivery is settled.

    `leased` work is claimed, acknowledged at once and kept alive by heartbeats. `fast` work is declared short and
    idempotent: what has arrived is done in one transaction, effect and end together, and acknowledged after it.
    """

    LEASED = "leased"
    FAST = "fast"


class Consumer(StrEnum):
    """Who does the work. Each has one queue, `reelmill.<consumer>`."""

    SPLITTER = "splitter"
    ANALYZER = "analyzer"
    POSE = "pose"
    """Analyses that need a whole device. They have a queue of their own, so that light ones do not wait behind them."""
    DISPATCHER = "dispatcher"
    KEEPER = "keeper"
    EXPORTER = "exporter"


@dataclass(frozen=True)
class Limits:
    """Bounds on one job. Seconds and bytes; over the limit the job fails for good with a code."""

    attempts: int = 5
    wall_seconds: int = 6 * 3600
    memory_bytes: int = 4 * 1024**3
    scratch_bytes: int = 64 * 1024**3
    first_retry_seconds: float = 2.0
    longest_retry_seconds: float = 300.0
    concurrency: int | None = None
    """Jobs of the kind that run at once, on all consumers together."""
    per_key: int = 1
    """Jobs of the kind with one concurrency key that run at once."""
    starts_per_second: float | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of job. `inputs` names the parameters that refer to files, locked while the job lives."""

    name: str
    params: type[Strict]
    consumer: Consumer
    summary: str
    inputs: tuple[str, ...] = ()
    lane: Lane = Lane.LEASED
    limits: Limits = Limits()
    version: int = 1
    upgrades: tuple[Upgrade, ...] = ()
    """For each earlier version, beginning with 1, what turns its parameters into those of the next. Pure functions."""
    live_key: LiveKey | None = None
    """From complete parameters to the key of which one job lives, for a request that names none. Pure."""
    guarded: bool = False
    """Whether who may ask for it depends on what for: an address of its own says so, and this door is for admins."""
    old_text: OldText | None = None
    """What turns the body of a producer from before there was JSON into parameters; None for one that is none. Pure."""

    def __post_init__(self) -> None:
        assert len(self.upgrades) == self.version - 1, f"{self.name} needs an upgrade from each of its versions"

    def references(self, params: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The files that these parameters name, each with its parameter, in order. A parameter may hold several."""
        return [(name, file) for name in self.inputs for file in _listed(params[name])]

    def resolved(self, params: dict[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
        """The parameters with every file as `files` has it."""
        found = {
            name: [files[file] for file in params[name]] if isinstance(params[name], list) else files[params[name]]
            for name in self.inputs
        }
        return params | found


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


# A child with DeepLabCut and a model in it takes 1.5 GB by itself; at half of this it is replaced after its job.
POSE_LIMITS = Limits(attempts=3, wall_seconds=12 * 3600, memory_bytes=16 * 1024**3)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="split.video",
            params=SplitVideo,
            consumer=Consumer.SPLITTER,
            summary="Cut a video into task videos, frames and a manifest.",
            inputs=("file",),
            version=2,
            upgrades=(since_version_1,),
        ),
        Kind(
            name="analyze.sleep",
            params=Sleep,
            consumer=Consumer.ANALYZER,
            summary="Sleep, then write a CSV file with the seconds slept.",
            inputs=("file",),
            limits=Limits(wall_seconds=2 * 3600, memory_bytes=1024**3),
        ),
        Kind(
            name="analyze.video",
            params=VideoAnalysis,
            consumer=Consumer.POSE,
            summary="Find a model's points in every frame of a video.",
            inputs=("file",),
            limits=POSE_LIMITS,
        ),
        Kind(
            name="analyze.label",
            params=LabelVideo,
            consumer=Consumer.POSE,
            summary="Draw a model's points into a video that every browser plays.",
            inputs=("file",),
            limits=POSE_LIMITS,
        ),
        Kind(
            name="analyze.image",
            params=ImageAnalysis,
            consumer=Consumer.POSE,
            summary="Find a model's points in a picture.",
            inputs=("file",),
            limits=POSE_LIMITS,
        ),
        Kind(
            name="analyze.label_image",
            params=LabelImage,
            consumer=Consumer.POSE,
            summary="Draw a model's points into a picture.",
            inputs=("file",),
            limits=POSE_LIMITS,
        ),
        Kind(
            name="analyze.triangulate",
            params=Triangulate,
            consumer=Consumer.POSE,
            summary="Find points in space from the videos of two calibrated cameras.",
            inputs=("file", "file2"),
            limits=POSE_LIMITS,
        ),
        Kind(
            name="analyze.label_3d",
            params=Label3D,
            consumer=Consumer.POSE,
            summary="Draw points in space as a video.",
            inputs=("file", "file2"),
            limits=POSE_LIMITS,
        ),
        Kind(
            name="probe.echo",
            params=Echo,
            consumer=Consumer.DISPATCHER,
            summary="Answer with the same text: the system's test of itself.",
            lane=Lane.FAST,
            limits=Limits(wall_seconds=5),
        ),
        Kind(
            name="jobs.bulk",
            params=Bulk,
            consumer=Consumer.KEEPER,
            summary="Cancel or retry every job that a filter chooses.",
            limits=Limits(wall_seconds=2 * 3600, memory_bytes=2 * 1024**3, scratch_bytes=1024**3),
        ),
        Kind(
            name="export.labels",
            params=ExportLabels,
            consumer=Consumer.EXPORTER,
            summary="Labelled data, a classifier's labels for the rest, and the classifier, as one archive.",
            live_key=export_key,
            guarded=True,
            old_text=export_of_text,
        ),
        Kind(
            name="train.classifier",
            params=TrainClassifier,
            consumer=Consumer.EXPORTER,
            summary="Train a classifier on what people have labelled.",
            guarded=True,
        ),
        # From frames to datasets.
        Kind(
            name="split.images",
            params=SplitImages,
            consumer=Consumer.SPLITTER,
            summary="Cut a set of images into tasks of equal size.",
            inputs=("images",),
        ),
        Kind(
            name="annotate.task",
            params=AnnotateTask,
            consumer=Consumer.SPLITTER,
            summary="Find boxes on the frames of a task with the built-in detector.",
            inputs=("video",),
        ),
        Kind(
            name="annotate.onnx",
            params=AnnotateOnnx,
            consumer=Consumer.SPLITTER,
            summary="Find boxes on the frames of a task with a model.",
            inputs=("video", "model"),
        ),
        Kind(
            name="annotate.import",
            params=ImportAnnotations,
            consumer=Consumer.SPLITTER,
            summary="Read the annotations of a task from a file.",
            inputs=("file",),
        ),
        Kind(
            name="dataset.task",
            params=DatasetTask,
            consumer=Consumer.SPLITTER,
            summary="Build one task of a dataset version.",
            limits=Limits(attempts=3),
        ),
        Kind(
            name="dataset.archive",
            params=DatasetArchive,
            consumer=Consumer.SPLITTER,
            summary="Pack a dataset version into an archive.",
            limits=Limits(attempts=3),
        ),
        # Items under lease.
        Kind(
            name="items.import",
            params=ImportItems,
            consumer=Consumer.KEEPER,
            summary="Bring the lines of a file into a collection; what is known keeps its progress.",
            inputs=("file",),
            limits=Limits(wall_seconds=6 * 3600, memory_bytes=1024**3),
        ),
        Kind(
            name="items.set_state",
            params=SetStates,
            consumer=Consumer.KEEPER,
            summary="Set the state of every item that a file names.",
            inputs=("file",),
            limits=Limits(wall_seconds=6 * 3600, memory_bytes=1024**3),
        ),
        # What was delivered.
        Kind(
            name="deliveries.check",
            params=CheckDelivery,
            consumer=Consumer.KEEPER,
            summary="Check a delivery against manifests, and fill the tasks of those that it matches.",
            limits=Limits(wall_seconds=6 * 3600, memory_bytes=2 * 1024**3),
        ),
    )
}


def kinds_of(consumer: Consumer) -> tuple[Kind, ...]:
    """The kinds that one consumer does."""
    return tuple(kind for kind in KINDS.values() if kind.consumer is consumer)
