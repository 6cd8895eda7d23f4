"""`train.classifier`: what people have labelled becomes a classifier, registered with the vectorizer that it needs."""

from typing import Any

import numpy as np
from sklearn.metrics import precision_score
from sklearn.model_selection import train_test_split

from consumers.exporter import copied
from consumers.exporter.model import SEED, bag_of_words, parameters_of, untrained
from consumers.outcome import Done, Rejected
from consumers.ports import LabelledWorkspace
from consumers.snapshot import Snapshot
from schemas.exports import TrainClassifier

HELD_BACK = 0.1
BLOCK = 16_384


def handle(params: TrainClassifier, workspace: LabelledWorkspace) -> Done:
    """Train and register. Raises Rejected(`too_few_labels`, `no_words`), and what the workspace raises."""
    with workspace.snapshot(params) as snapshot:
        rows = list(copied.records(snapshot.parts["human"]))
        labels = [row[2] for row in rows]
        if len(set(labels)) < 2:
            raise Rejected("too_few_labels", "Training needs datapoints of at least two labels.")
        vectorizer, given = _given(snapshot, rows)
    workspace.progress(20)
    learned, tested, learned_labels, tested_labels = train_test_split(
        given, np.array(labels), test_size=HELD_BACK, random_state=SEED
    )
    if len(set(learned_labels)) < 2:
        raise Rejected("too_few_labels", "Nine tenths of the labelled datapoints have one label only.")
    classifier = untrained().fit(learned, learned_labels)
    precision = float(precision_score(tested_labels, classifier.predict(tested), average="micro"))
    number = workspace.register(params.project, parameters_of(classifier, vectorizer), precision)
    return Done({"classifier": number, "precision": precision, "labelled": len(rows)})


def _given(snapshot: Snapshot, rows: list[Any]) -> tuple[Any, Any]:
    """The vectorizer, if texts need one, and what the classifier sees of each labelled datapoint."""
    if snapshot.features:
        part = snapshot.parts["human_vectors"]
        blocks = [block.columns.T for block in copied.vectors(part, len(snapshot.features), BLOCK)]
        return None, np.concatenate(blocks)
    try:
        vectorizer = bag_of_words([text for _, text in copied.records(snapshot.parts["every_text"])])
    except ValueError:
        raise Rejected("no_words", "There is no word in the texts.") from None
    return vectorizer, vectorizer.transform([row[1] for row in rows])
