"""`kill -9` in the middle of a split, at random points: one result, the same bytes as an undisturbed run."""

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine

from infra.settings import Settings
from tests.bucket import Bucket
from tests.chaos.reconcile import named_objects, reconcile
from tests.clips.factory import Clips, Recipe
from tests.system import System, until

KILLS = 20
KILLS_OF_ONE = 4  # the attempts of a job are spent with the fifth
PARAMS = {"rate": 10, "frames_per_task": 10, "images": True}


def hashes(system: System, job_id: str) -> dict[str, str]:
    page = system.http.get(f"/v1/jobs/{job_id}/outputs", params={"limit": 1000}).json()
    assert page["next"] is None
    return {output["name"]: output["sha256"] for output in page["outputs"]}


def manifest(system: System, job_id: str) -> dict[str, Any]:
    answer = system.http.get(f"/v1/jobs/{job_id}/outputs/manifest.json", follow_redirects=True)
    assert answer.is_success
    return dict(answer.json())


@pytest.mark.row("S3-10", "S3-41", "X-09")
def test_killed_at_random_points_the_result_is_the_same(
    system: System, settings: Settings, database: Engine, tmp_path: Path
) -> None:
    dice = random.Random(20)
    clip = Clips(tmp_path / "clips").make(Recipe(frames=360, width=640, height=360, noise=40))
    system.start("gateway", "relay", "splitter")
    file = system.upload(clip.read_bytes(), "clip.mp4")

    # The disturbed jobs come first, so that it is their objects that are kept.
    kills = 0
    disturbed: list[str] = []
    while kills < KILLS:
        job_id = system.submit("split.video", {"file": file, **PARAMS})
        disturbed.append(job_id)
        done = 0.0
        for _ in range(KILLS_OF_ONE):
            job = _reach(system, job_id, dice.uniform(done, 95))
            if job["state"] == "succeeded":
                break
            done = min(job["progress"], 95)
            _kill(system, dice)
            kills += 1
        _reach(system, job_id, 100)
    undisturbed = system.submit("split.video", {"file": file, **PARAMS})
    assert system.until_state(undisturbed, "succeeded", patience=120)["attempt"] == 1

    expected = hashes(system, undisturbed)
    assert len(expected) == 12 + 120 + 120 + 1
    for job_id in disturbed:
        assert hashes(system, job_id) == expected
        for task in manifest(system, job_id)["tasks"]:
            assert len(task["original_frames"]) == task["frameCount"]
    system.stop_one("relay")
    reconcile(settings, database)
    assert set(Bucket(system.environment).keys()) == named_objects(database)


def _reach(system: System, job_id: str, percent: float) -> dict[str, Any]:
    """The job, as soon as it runs and is that far, or has succeeded. It does not wait for its next attempt."""

    def reached() -> dict[str, Any] | None:
        job = system.job(job_id)
        assert job["state"] != "failed", job["error"]
        if job["state"] == "scheduled":
            system.hasten()
        running = job["state"] == "running" and job["progress"] >= percent
        return job if running or job["state"] == "succeeded" else None

    return until(reached, f"the job reaches {percent:.0f} % or its end", patience=120)


def _kill(system: System, dice: random.Random) -> None:
    children = system.children("splitter")
    if children and dice.random() < 0.5:
        with suppress(psutil.NoSuchProcess):  # one that has grown fat is replaced
            children[0].kill()
        return
    system.kill("splitter")
    system.lapse()
    system.start("splitter")
