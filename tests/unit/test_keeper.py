"""`jobs.bulk`, by its handler alone: batch by batch, each job once, an answer for every one."""

from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from pydantic import ValidationError

from consumers.keeper import bulk
from consumers.keeper.bulk import BATCH, OUTCOMES
from consumers.outcome import Fenced
from schemas.bulk import Bulk
from tests.clips.memory_workspace import MemoryJob

CANCEL = Bulk.model_validate({"action": "cancel", "filter": {"kind": "analyze.sleep"}})


def test_what_became_of_each_job_is_an_output(tmp_path: Path) -> None:
    others = sorted(uuid4() for _ in range(2 * BATCH + 7))
    job = MemoryJob({}, others=others)
    workspace = job.attempt(tmp_path)
    done = bulk.handle(CANCEL, workspace)
    assert done.result == {"action": "cancel", "jobs": len(others), "cancelled": len(others)}
    [artifact] = done.artifacts
    assert (artifact.name, artifact.content_type) == (OUTCOMES, "application/x-ndjson")
    lines = job.objects[artifact.object_key].splitlines()
    assert [orjson.loads(line) for line in lines] == [{"id": str(n), "outcome": "cancelled"} for n in others]
    assert workspace.percents == sorted(workspace.percents)
    assert len(job.steps) == 3


def test_a_second_attempt_goes_on_and_tells_the_whole_story(tmp_path: Path) -> None:
    job = MemoryJob({}, others=sorted(uuid4() for _ in range(BATCH + 3)))
    first = job.attempt(tmp_path)
    first.act(CANCEL, BATCH)
    second = job.attempt(tmp_path)
    with pytest.raises(Fenced):
        bulk.handle(CANCEL, first)
    done = bulk.handle(CANCEL, second)
    assert done.result["cancelled"] == BATCH + 3
    assert len(job.objects[done.artifacts[0].object_key].splitlines()) == BATCH + 3


def test_nothing_to_do_is_done(tmp_path: Path) -> None:
    job = MemoryJob({})
    done = bulk.handle(CANCEL, job.attempt(tmp_path))
    assert done.result == {"action": "cancel", "jobs": 0}
    assert job.objects[done.artifacts[0].object_key] == b""


@pytest.mark.parametrize(
    "wanted",
    [
        {"action": "cancel", "filter": {}},
        {"action": "cancel", "filter": {"state": None}},
        {"action": "cancel", "filter": {"state": "failed"}},
        {"action": "retry", "filter": {"state": "running"}},
        {"action": "retry", "filter": {"state": "succeeded"}},
        {"action": "delete", "filter": {"kind": "k"}},
        {"action": "cancel", "filter": {"ids": []}},
        {"action": "cancel", "filter": {"kind": "\0"}},
        {"action": "cancel", "filter": {"kind": "k", "and": 1}},
        {"action": "cancel", "filter": {"created_before": "2030-01-01T00:00:00"}},
    ],
)
def test_what_chooses_nothing_or_makes_no_sense_is_refused(wanted: object) -> None:
    with pytest.raises(ValidationError):
        Bulk.model_validate(wanted)
