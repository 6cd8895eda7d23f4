"""The model card: what somebody who finds the archive has to know before he uses the classifier in it."""

from consumers.exporter.model import LIBRARIES, Model
from consumers.snapshot import Snapshot

NAME = "MODEL_CARD.md"
CARD = """# Classifier {number} of {project}

A logistic regression over {content}; it tells {classes} labels apart: {labels}.
Registered {created_at}; its micro-averaged precision was {precision}.

- `model.json`: its parameters as plain JSON. Safe to read.
- {pickles}: the same for `pickle.load`, made with scikit-learn {sklearn} and numpy {numpy}; use these versions.
  Whoever may change a pickle may run code where it is loaded: check the SHA-256 in `manifest.json` first.

The label of a row is the class with the highest probability, `confidence` is that probability. `label` in the human
file is the majority of `labels`. Times are milliseconds since 1970, UTC. `read_json(..., precise_float=True)` keeps
every digit.
"""


def card(snapshot: Snapshot, model: Model) -> bytes:
    """The card as Markdown."""
    stored = snapshot.classifier
    assert stored is not None
    classes = model.parameters.classes
    text = CARD.format(
        number=stored.id,
        project=snapshot.project,
        content=f"{len(snapshot.features)} numbers" if snapshot.features else "bags of words",
        classes=len(classes),
        labels=", ".join(classes),
        created_at=stored.created_at.isoformat(),
        precision="not measured" if stored.precision is None else f"{stored.precision:.4f}",
        pickles=" and ".join(f"`{name}`" for name in model.pickles()),
        sklearn=LIBRARIES["scikit-learn"],
        numpy=LIBRARIES["numpy"],
    )
    return text.encode()
