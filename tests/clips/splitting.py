"""Run the splitter on a clip and look at what it made."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from consumers.outcome import Done
from consumers.splitter.handler import handle
from consumers.splitter.records import task_name
from schemas.splitting import SplitVideo
from tests.clips import barcode
from tests.clips.memory_workspace import MemoryJob, MemoryWorkspace

FILE = "c11b"
Picture = NDArray[np.uint8]


@dataclass
class Split:
    """A finished split: its outcome, the attempt that finished it, and the job's artifacts by name."""

    done: Done
    workspace: MemoryWorkspace

    @property
    def artifacts(self) -> dict[str, bytes]:
        """The bytes of everything that the job's steps and its outcome name."""
        job = self.workspace.job
        made = [artifact for step in job.steps.values() for artifact in step.artifacts]
        return {artifact.name: job.objects[artifact.object_key] for artifact in (*made, *self.done.artifacts)}

    @property
    def manifest(self) -> dict[str, Any]:
        """manifest.json, read."""
        return dict(json.loads(self.artifacts["manifest.json"]))

    @property
    def samples(self) -> list[dict[str, Any]]:
        """All rows of the manifest."""
        return [row for task in self.manifest["tasks"] for row in task["samples"]]

    def video(self, task: int) -> list[Picture]:
        """The luma of every frame of a task video, in order."""
        return [_luma(frame) for frame in self.frames(task)]

    def frames(self, task: int) -> list[av.VideoFrame]:
        """The decoded frames of a task video."""
        with av.open(io.BytesIO(self.artifacts[task_name(task)]), mode="r") as container:
            return list(container.decode(container.streams.video[0]))

    def pictures(self, folder: str = "frames") -> list[Picture]:
        """The pictures of a folder in the order of their names, BGR."""
        names = sorted(name for name in self.artifacts if name.startswith(f"{folder}/"))
        read = (cv2.imdecode(np.frombuffer(self.artifacts[name], np.uint8), cv2.IMREAD_COLOR) for name in names)
        return [np.asarray(picture, np.uint8) for picture in read]

    def numbers_in_videos(self, block: int = 16) -> list[int]:
        """The burned-in frame numbers of all task videos, in order."""
        tasks = range(self.done.result["tasks"])
        return [barcode.read(luma, block) for task in tasks for luma in self.video(task)]

    def numbers_in_pictures(self, block: int = 16) -> list[int]:
        """The burned-in frame numbers of all pictures, in order."""
        return [barcode.read(picture[:, :, 1], block) for picture in self.pictures()]


def params(**terms: Any) -> SplitVideo:
    """Parameters of a split of the one input that `job_of` gives a job."""
    return SplitVideo(file=FILE, **{"preset": "ultrafast"} | terms)


def job_of(clip: Path) -> MemoryJob:
    """A job whose only input is the clip."""
    return MemoryJob({FILE: clip})


def split(clip: Path, folder: Path, **terms: Any) -> Split:
    """Split the clip in one undisturbed attempt, scratch below `folder`."""
    workspace = job_of(clip).attempt(folder)
    return Split(handle(params(**terms), workspace), workspace)


def _luma(frame: av.VideoFrame) -> Picture:
    plane = frame.planes[0]
    rows = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width]
