"""Processes whose clocks are an hour off: who holds a job, and when one is due, is the database's to say."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.system import System, until

SKEW = "import time\ntime.time = lambda real=time.time: real() + {seconds}\n"


def skewed(folder: Path, seconds: int) -> dict[str, str]:
    """An environment in which Python's clock is off."""
    place = folder / f"skew{seconds}"
    place.mkdir()
    (place / "sitecustomize.py").write_text(SKEW.format(seconds=seconds) + f"print('skewed by {seconds}')\n")
    return {"PYTHONPATH": str(place)}


@pytest.mark.row("X-11")
def test_a_clock_that_is_wrong_costs_nobody_a_job_and_rescues_none_late(
    system: System, database: Engine, tmp_path: Path
) -> None:
    ahead, behind = skewed(tmp_path, 3600), skewed(tmp_path, -3600)
    system.start("gateway")
    system.start("relay", "analyzer", **ahead)
    system.start("analyzer.2", **behind)
    file = system.upload(b"hello")
    due = (datetime.now(UTC) + timedelta(minutes=30)).isoformat()
    later = system.submit("analyze.sleep", {"file": file, "time": 0}, run_at=due)
    # Each holds a job for a while, beside a relay and a neighbour that think its lease ended, or began, long ago.
    held = [system.submit("analyze.sleep", {"file": file, "time": 2}) for _ in range(2)]
    for job_id in held:
        assert system.until_state(job_id, "succeeded")["attempt"] == 1
    assert {system.job(job_id)["worker"] for job_id in held} != {None}
    assert system.job(later)["state"] == "scheduled"
    for name in ("relay", "analyzer", "analyzer.2"):
        assert "skewed by" in system.log(name), "the clock was off"
        assert "claims expired" not in system.log(name)
    # And a claim that is really over is taken away in time.
    lost = system.submit("analyze.sleep", {"file": file, "time": 600})
    worker = system.until_state(lost, "running")["worker"]
    dead = next(n for n in ("analyzer", "analyzer.2") if worker.endswith(f":{system.processes[n].pid}"))
    with database.begin() as connection:  # before the claim can be over: whoever has it next is soon done
        connection.execute(text("update jobs set params = params || '{\"time\": 0}' where id = :id"), {"id": lost})
    system.kill(dead)
    system.lapse()
    assert system.until_state(lost, "succeeded")["attempt"] == 2
    until(lambda: "claims expired" in system.log("relay"), "the relay took it away")
