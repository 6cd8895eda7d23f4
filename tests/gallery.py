"""Content for tests of uploads and datasets: a video of squares whose places are known, and images of many sizes."""

import io
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from tests.system import System, until

WIDTH, HEIGHT, RATE, SIDE = 320, 240, 10, 40


def place(frame: int) -> tuple[int, int]:
    """The top left corner of the square on a frame of `squares`, counted from 0."""
    return (10 + 3 * frame) % (WIDTH - SIDE), (20 + 2 * frame) % (HEIGHT - SIDE)


def squares(path: Path, frames: int = 30, blue: int = 40) -> bytes:
    """A video of a light square on a dark ground, a little further on every frame; `blue` makes another video."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            picture = np.full((HEIGHT, WIDTH, 3), (blue, 30, 30), np.uint8)
            x, y = place(number)
            picture[y : y + SIDE, x : x + SIDE] = (200, 220, 240)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def image(width: int, height: int, colour: tuple[int, int, int], suffix: str = ".png") -> bytes:
    """An image of one colour, BGR."""
    written, data = cv2.imencode(suffix, np.full((height, width, 3), colour, np.uint8))
    assert written
    return data.tobytes()


def packed(members: dict[str, bytes]) -> bytes:
    """A zip archive."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return sink.getvalue()


class Studio:
    """Projects, uploads, tasks and datasets of a running system, as callers see them."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.http = system.http

    def project(self, name: str = "street") -> str:
        """A new project; returns its id."""
        answer = self.http.post("/v1/projects", json={"name": name})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def upload(self, project: str, **body: Any) -> dict[str, Any]:
        """Ask for an upload, and wait for its end."""
        answer = self.http.post(f"/v1/projects/{project}/uploads", json=body)
        assert answer.status_code == 202, answer.text
        return self.ended(answer.json()["id"])

    def ended(self, upload: str) -> dict[str, Any]:
        """An upload, once it is over."""

        def over() -> dict[str, Any] | None:
            view = self.get(f"/v1/uploads/{upload}")
            return view if view["state"] in {"succeeded", "failed"} else None

        return until(over, f"upload {upload} is over")

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """What an address shows."""
        answer = self.http.get(path, params=query)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def tasks(self, project: str) -> list[dict[str, Any]]:
        """All tasks of a project, by number."""
        found = self.get("/v1/tasks", project=project, limit=1000)["tasks"]
        return sorted(found, key=lambda task: (task["name"], task["number"]))

    def frames(self, task: str) -> list[dict[str, Any]]:
        """All frames of a task."""
        return list(self.get(f"/v1/tasks/{task}/frames", limit=1000)["frames"])

    def say(self, task: str, frame: int, *boxes: dict[str, Any]) -> dict[str, Any]:
        """Annotate a frame."""
        answer = self.http.put(f"/v1/tasks/{task}/frames/{frame}/boxes", json={"boxes": boxes})
        assert answer.is_success, answer.text
        return dict(answer.json())

    def accept(self, task: str, status: int = 6) -> None:
        """Say that a task is fit for datasets."""
        assert self.http.patch(f"/v1/tasks/{task}", json={"status": status}).is_success

    def content(self, sha256: str) -> bytes:
        """Bytes of a file."""
        answer = self.http.get(f"/v1/files/{sha256}/content")
        assert answer.is_success, answer.text
        return answer.content

    def version(self, group: str, **body: Any) -> dict[str, Any]:
        """Make a version of a dataset, and wait for its end."""
        answer = self.http.post(f"/v1/datasets/{group}/versions", json=body)
        assert answer.status_code == 202, answer.text
        return self.built(answer.json()["id"])

    def built(self, version: str) -> dict[str, Any]:
        """A version, once it is complete or has failed, and its archives are there."""

        def over() -> dict[str, Any] | None:
            view = self.get(f"/v1/dataset-versions/{version}")
            ended = {"succeeded", "failed", "cancelled"}
            packed = all(archive["state"] in ended for archive in view["archives"])
            return view if view["state"] in {"complete", "failed"} and packed else None

        return until(over, f"version {version} is built")

    def archive(self, view: dict[str, Any], name: str) -> dict[str, bytes]:
        """The members of an archive of a version."""
        path = f"/v1/datasets/{view['group']}/versions/{view['version']}/archives/{name}"
        answer = self.http.get(path, follow_redirects=True)
        assert answer.is_success, answer.text
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            return {member: archive.read(member) for member in archive.namelist()}

    def items(self, view: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
        """All pictures of a version, page by page."""
        path = f"/v1/datasets/{view['group']}/versions/{view['version']}/items"
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, **query, **cursor)
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}
