"""`jobs.bulk`: act on every job that a filter chooses, and write down what became of each."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from consumers.artifacts import Step
from consumers.outcome import Done
from consumers.ports import Workspace
from schemas.bulk import Bulk

BATCH = 500
OUTCOMES = "outcomes.ndjson"


def handle(params: Bulk, workspace: Workspace) -> Done:
    """Act batch by batch. What an earlier attempt did is remembered: it is done once, and told all the same."""
    dealt = 0
    while (step := workspace.act(params, BATCH)) is not None:
        dealt += len(step.record["done"])
        workspace.progress(100 * dealt / max(step.record["total"], dealt, 1))
    steps = workspace.checkpoints()
    path = workspace.scratch / OUTCOMES
    with path.open("wb") as sink:
        sink.writelines(_lines(steps))
    artifact = workspace.store(OUTCOMES, path, "application/x-ndjson")
    counts = Counter(outcome for step in steps for _, outcome, _ in step.record["done"])
    return Done({"action": params.action.value, "jobs": counts.total(), **counts}, (artifact,))


def _lines(steps: Iterable[Step]) -> Iterator[bytes]:
    """One line of JSON for each job, in the order of their ids."""
    for step in steps:
        for job_id, outcome, why in step.record["done"]:
            told: dict[str, Any] = {"id": job_id, "outcome": outcome} | ({"why": why} if why else {})
            yield orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)
