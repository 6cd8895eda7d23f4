"""The README's own lines work as they stand."""

import re
from pathlib import Path

from tests.system import System, until

README = Path(__file__).parents[2] / "README.md"


def test_ten_lines_of_pika_make_a_job(system: System) -> None:
    [code] = re.findall(r"```python\n(import json, pika\n.*?)```", README.read_text(), re.DOTALL)
    system.start("gateway", "relay", "analyzer")
    until(lambda: "broker.connected" in system.log("analyzer"), "the analyzer has its queue")
    file = system.upload(b"hello", "hello.txt")
    ours = code.replace("split.video", "analyze.sleep").replace('"7b4758d4", "rate": 5', f'"{file[:8]}", "time": 0')
    assert ours != code
    for _ in range(2):  # the same message_id twice is one job
        exec(compile(ours, "README.md", "exec"), {"AMQP_URL": system.environment["REELMILL_AMQP_URL"]})
    jobs = until(lambda: system.http.get("/v1/jobs", params={"state": "succeeded"}).json()["jobs"], "the job succeeds")
    assert len(jobs) == 1
    assert len(system.http.get("/v1/jobs").json()["jobs"]) == 1
    view = system.job(jobs[0]["id"])
    assert (view["via"], view["params"]["file"]) == ("amqp", file)
