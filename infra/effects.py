"""What else becomes true when a job succeeds: rows of other topics, written in the transaction of the success."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from infra import annotations, builds, deliveries, uploads
from infra.claims import Claim

Effect = Callable[[Connection, Claim], int]

EFFECTS: Mapping[str, Effect] = {
    "split.video": uploads.cut,
    "split.images": uploads.cut,
    "annotate.task": annotations.found,
    "annotate.onnx": annotations.found,
    "annotate.import": annotations.imported,
    "dataset.task": builds.built,
    "dataset.archive": builds.packed,
    "deliveries.check": deliveries.checked,
}


def apply(connection: Connection, claim: Claim) -> int:
    """Carry out what follows from a success. Returns how many jobs were queued by it."""
    effect = EFFECTS.get(claim.kind)
    return effect(connection, claim) if effect is not None else 0
