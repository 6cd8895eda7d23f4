"""What the chaos run asks for: jobs of both lanes, each with the door that it is to come in by."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any
from uuid import UUID

DOORS = ("http", "keyed", "ndjson", "amqp", "packed")
#: What only the fast lane may use.
FAST_ONLY = frozenset({"packed"})
SPLIT = {"rate": 5, "frames_per_task": 10, "images": True}


@dataclass(frozen=True)
class Wanted:
    """One job. `number` makes it unlike every other; `upload` asks for an input file of its own."""

    number: int
    id: UUID
    kind: str
    params: dict[str, Any]
    door: str
    upload: bool = False


@dataclass(frozen=True)
class Material:
    """Files that were uploaded before the trouble began."""

    text: str
    clip: str


def demand(jobs: int, material: Material, dice: random.Random) -> list[Wanted]:
    """Mixed as they come: of 200 jobs one is a split, 70 sleep, the rest echo.

    Of ten sleeps one is on a file of its own, and one lasts a second, so that blows find work under way.
    """
    kinds = ["split.video"] * max(jobs // 200, 1) + ["analyze.sleep"] * (jobs * 35 // 100)
    kinds += ["probe.echo"] * (jobs - len(kinds))
    dice.shuffle(kinds)
    return list(_wanted(kinds, material, dice))


def _wanted(kinds: list[str], material: Material, dice: random.Random) -> Iterator[Wanted]:
    fast, slow = cycle(DOORS), cycle(door for door in DOORS if door not in FAST_ONLY)
    sleeps = 0
    for number, kind in enumerate(kinds):
        job_id = UUID(int=dice.getrandbits(128), version=4)
        if kind == "probe.echo":
            yield Wanted(number, job_id, kind, {"text": f"number {number}"}, next(fast))
        elif kind == "split.video":
            yield Wanted(number, job_id, kind, {"file": material.clip, **SPLIT}, next(slow))
        else:
            sleeps += 1
            params = {"file": material.text, "time": int(sleeps % 10 == 5)}
            yield Wanted(number, job_id, kind, params, next(slow), upload=sleeps % 10 == 0)
