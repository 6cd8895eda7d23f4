"""`manifest.json`: what the split made, sample by sample. Written last, so that its presence means completeness.

Written piece by piece: it grows with the video, the memory does not. The same split writes the same bytes.
"""

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from consumers.splitter.ledger import Ledger, Line
from consumers.splitter.pictures import frame_name, thumbnail_name
from consumers.splitter.plan import Plan
from consumers.splitter.probe import Source
from consumers.splitter.records import number_of
from schemas.splitting import SplitVideo

NAME = "manifest.json"
FORMAT = "reelmill.split/1"
NUMBERING = "Samples, frames and tasks count from 0. Source frames are numbered in display order."
SELECTION = "Sample k is the last source frame with pts <= start_pts + (k / rate + tolerance) / time_base."
SEEKING = "A player shows frame i of a task video when it is sought to (i + 0.5) / rate seconds."
ARTIFACTS = ((frame_name, "image"), (thumbnail_name, "thumbnail"))


def write(path: Path, head: dict[str, Any], ledger: Ledger, rate: Fraction) -> None:
    """Write the manifest: the head's fields, then `tasks`, each with its record, its artifact and its samples."""
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head, indent=1)[:-2] + ',\n "tasks": [')
        rows = _Rows(rate)
        for place, line in enumerate(ledger):
            file.write(",\n  " if place else "\n  ")
            task = line["record"] | {"video": line["artifacts"][line["record"]["videoPath"]]}
            # Sorted: a record that an earlier attempt committed comes back with its keys in another order.
            file.write(json.dumps(task, sort_keys=True)[:-1] + ', "samples": [')
            file.write(",".join("\n   " + json.dumps(row) for row in rows.of(line)))
            file.write("]}")
        file.write("\n ]\n}\n")


class _Rows:
    """Turns tasks, in order, into rows; remembers the latest source frame to tell repeats."""

    def __init__(self, rate: Fraction) -> None:
        self._rate = rate
        self._latest: tuple[int, int] | None = None

    def of(self, line: Line) -> Iterator[dict[str, Any]]:
        """One row per sample. `time`: its seconds on the task videos' time axis, k / rate from the first frame."""
        record, artifacts = line["record"], line["artifacts"]
        frames = zip(record["original_frames"], record["original_pts"], strict=True)
        for index, (ordinal, pts) in enumerate(frames):
            number = record["firstSample"] + index
            yield {
                "k": number,
                "time": number_of(number / self._rate),
                "pts": pts,
                "source_frame": ordinal,
                "task": record["task"],
                "index": index,
                "repeat_of": self._repeat_of(number, ordinal),
            } | {field: artifacts[name(number)] for name, field in ARTIFACTS if name(number) in artifacts}

    def _repeat_of(self, number: int, ordinal: int) -> int | None:
        """The first sample that shows the same source frame, when that is an earlier one."""
        if self._latest is None or self._latest[0] != ordinal:
            self._latest = ordinal, number
            return None
        return self._latest[1]


def head(source: Source, plan: Plan, params: SplitVideo, warnings: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything that the manifest says once."""
    return {
        "format": FORMAT,
        "numbering": NUMBERING,
        "selection": SELECTION,
        "seeking": SEEKING,
        "params": params.model_dump(mode="json"),
        "rate": str(plan.rate),
        "tolerance": str(plan.timeline.tolerance),
        "planned": len(plan.ordinals),
        "source": _source(source),
        "warnings": warnings,
    }


def _source(source: Source) -> dict[str, Any]:
    timeline, look = source.timeline, source.look
    return {
        "container": source.container,
        "codec": source.codec,
        "frames": len(timeline.pts),
        "average_rate": str(timeline.average_rate),
        "duration": number_of(timeline.duration),
        "time_base": str(timeline.time_base),
        "start_pts": timeline.pts[0],
        "end_pts": timeline.end,
        "synthetic_timestamps": source.synthetic_timestamps,
        "width": look.width,
        "height": look.height,
        "rotation": look.turns * 90,
        "padding": {"right": look.padding_right, "bottom": look.padding_bottom},
        "pixel_aspect": str(look.pixel_aspect),
        "colour": {
            "matrix": look.matrix,
            "primaries": look.primaries,
            "transfer": look.transfer,
            "matrix_assumed": look.matrix_assumed,
        },
    }
