"""A real video through the whole system: HTTP in, RabbitMQ through, frames and playable task videos out."""

import io
from typing import Any

import av
import pytest

from infra.cli.demo import sample
from tests.system import System


def outputs(system: System, job_id: str) -> dict[str, dict[str, Any]]:
    page = system.http.get(f"/v1/jobs/{job_id}/outputs", params={"limit": 1000}).json()
    return {output["name"]: output for output in page["outputs"]}


def content(system: System, output: dict[str, Any]) -> bytes:
    answer = system.http.get(output["href"], follow_redirects=True)
    assert answer.is_success
    return answer.content


@pytest.fixture(scope="module")
def running(shared: System) -> System:
    shared.start("gateway", "relay", "splitter")
    return shared


@pytest.mark.row("S3-07", "S3-08", "S3-09", "S3-10", "S3-11")
def test_a_real_video_becomes_tasks_and_frames(running: System) -> None:
    clip = sample()
    file = running.upload(clip.read_bytes(), clip.name)
    job_id = running.submit("split.video", {"file": file, "rate": 5, "frames_per_task": 20, "images": True})
    seen: list[float] = []
    while (job := running.job(job_id))["state"] not in {"succeeded", "failed", "cancelled"}:
        seen.append(job["progress"])
        assert not outputs(running, job_id) or running.job(job_id)["state"] == "succeeded"
    assert job["state"] == "succeeded", job["error"]
    assert seen == sorted(seen)
    assert all(percent < 100 for percent in seen)
    assert job["progress"] == 100
    made = outputs(running, job_id)
    videos = sorted(name for name in made if name.startswith("tasks/"))
    counts = []
    for name in videos:
        with av.open(io.BytesIO(content(running, made[name])), mode="r") as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert stream.average_rate == 5
            counts.append(sum(1 for _ in container.decode(stream)))
    assert counts == [20, 20, 10]
    assert sum(name.startswith("frames/") for name in made) == 50
    assert sum(name.startswith("thumbnails/") for name in made) == 50
    assert "manifest.json" in made


@pytest.mark.row("S3-05")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"this is text, whatever its name says\n" * 50, "unreadable_video"),
        (sample().read_bytes()[-200_000:], "unreadable_video"),
    ],
    ids=["text", "no head"],
)
def test_what_is_no_video_fails_with_a_code(running: System, body: bytes, code: str) -> None:
    file = running.upload(body, "video.mp4")
    job = running.until_state(running.submit("split.video", {"file": file, "rate": 5}), "failed", "succeeded")
    assert job["error"]["code"] == code
    assert outputs(running, job["id"]) == {}
    clip = running.upload(sample().read_bytes(), "good.mp4")
    running.until_state(running.submit("split.video", {"file": clip, "rate": 1}), "succeeded")
