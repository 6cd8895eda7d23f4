"""What is written down about a task: the record that its step carries and that the manifest repeats.

Field names are those that annotation clients know. All numbers count from 0; a record holds no clock time and no
path, so that every run writes the same one.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from consumers.splitter.look import Look
from consumers.splitter.plan import Plan, Task

Record = dict[str, Any]


@dataclass(frozen=True)
class Delivered:
    """One sample as it was written: its number, its source frame and that frame's timestamp in ticks."""

    number: int
    ordinal: int
    pts: int


def task_name(number: int) -> str:
    """Artifact name of a task's video."""
    return f"tasks/task-{number:04d}.mp4"


def number_of(value: Fraction) -> int | float:
    """An exact number as JSON has it: whole when it is whole."""
    return int(value) if value.denominator == 1 else float(value)


def task_record(video: str, plan: Plan, look: Look, task: Task, delivered: list[Delivered]) -> Record:
    """The record of a finished task with at least one sample of `video`, a file name. Seconds and pixels.

    `frameStart` and `frameEnd` are the first and last source frame, `frameStartTime` is when the first one comes on
    screen. The resolution is the upright picture's; `padding` is what the task video adds on the right and below.
    """
    timeline = plan.timeline
    return {
        "task": task.number,
        "taskName": f"task-{task.number}-{video.rpartition('.')[0] or video}",
        "videoName": video,
        "videoPath": task_name(task.number),
        "taskStatus": 0,
        "firstSample": task.first,
        "frameStart": delivered[0].ordinal,
        "frameEnd": delivered[-1].ordinal,
        "frameStartTime": number_of((delivered[0].pts - timeline.pts[0]) * timeline.time_base),
        "frameCount": len(delivered),
        "original_frames": [sample.ordinal for sample in delivered],
        "original_pts": [sample.pts for sample in delivered],
        "frameRate": number_of(plan.rate),
        "Originalframerate": number_of(timeline.average_rate),
        "skipFrameCount": number_of(24 / plan.rate),
        "videoDuration": number_of(timeline.duration),
        "videoResolutionWidth": look.width,
        "videoResolutionHeight": look.height,
        "padding": {"right": look.padding_right, "bottom": look.padding_bottom},
        "completedFrames": 0,
        "boxCount": 0,
        "labelCounts": {"totalCount": 0, "labelList": []},
        "substitutedFrames": sum(sample.ordinal != plan.ordinals[sample.number] for sample in delivered),
    }
