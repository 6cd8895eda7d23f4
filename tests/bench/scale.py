"""Throughput from one to four instances of a consumer whose work is to wait: what the system itself adds shows."""

import time
from functools import partial

import orjson

from infra.ids import new_id
from tests.bench.house import DONE, House
from tests.ground import Ground
from tests.system import until

ROUNDS = 12


def measure(ground: Ground, instances: int) -> float:
    """Jobs a second of `analyze.sleep` with time 1."""
    names = ["analyzer" if n == 1 else f"analyzer.{n}" for n in range(1, instances + 1)]
    with House(ground, processes=("gateway", "relay", *names)) as house:
        file = house.system.upload(b"hello\n", "hello.txt")
        for name in names:
            until(partial(_listens, house, name), f"{name} listens")
        _run(house, file, instances * 2, 0)  # every child is warm
        return _run(house, file, instances * ROUNDS, 1)


def _run(house: House, file: str, jobs: int, seconds: int) -> float:
    first = new_id()
    line = orjson.dumps({"kind": "analyze.sleep", "params": {"file": file, "time": seconds}})
    begin = time.perf_counter()
    headers = {"Content-Type": "application/x-ndjson"}
    answer = house.system.http.post("/v1/jobs", content=b"\n".join([line] * jobs), headers=headers)
    assert answer.status_code == 202, answer.text
    until(lambda: house.one(DONE, first) >= jobs, "they are all done", patience=jobs * (seconds + 1) + 60)
    return jobs / (time.perf_counter() - begin)


def _listens(house: House, name: str) -> bool:
    return "broker.connected" in house.system.log(name)
