"""The finished tasks of a split, in a file: a long video has too many of them to keep in memory.

Holds what the manifest needs of each step, whether this attempt or an earlier one finished it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from consumers.artifacts import Artifact, Step

Line = dict[str, Any]


class Ledger:
    """Finished tasks by number; `frames` and `substituted` count their samples so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[int, int] = {}
        self.frames = 0
        self.substituted = 0

    def add(self, step: Step) -> None:
        """Write a finished task down."""
        line = {"record": step.record, "artifacts": {a.name: _summary(a) for a in step.artifacts}}
        with self._path.open("ab") as file:
            self._places[step.ordinal] = file.tell()
            file.write(json.dumps(line).encode() + b"\n")
        self.frames += step.record["frameCount"]
        self.substituted += step.record["substitutedFrames"]

    def __contains__(self, task: int) -> bool:
        return task in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Line]:
        """Finished tasks by ascending number: the step's record, and its artifacts by name."""
        if not self._places:
            return
        with self._path.open("rb") as file:
            for number in sorted(self._places):
                file.seek(self._places[number])
                yield json.loads(file.readline())


def _summary(artifact: Artifact) -> dict[str, Any]:
    return {"name": artifact.name, "sha256": artifact.sha256, "size": artifact.size}
