"""A classifier made from its parameters: scikit-learn's own objects, built here, so that no pickle is ever loaded."""

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import ThreadpoolController

from consumers.exporter.rendering import Coded
from schemas.linear import LinearModel, Vectorizer

SEED = 42
MOST_ITERATIONS = 100_000
#: Made here, where nothing else goes on: looking for the libraries while another thread loads one would lock up both.
BLAS = ThreadpoolController()
LIBRARIES = {"scikit-learn": str(sklearn.__version__), "numpy": str(np.__version__)}


class Model:
    """A classifier that predicts, and that can be written as the pickles that people expect."""

    def __init__(self, parameters: LinearModel) -> None:
        self.parameters = parameters
        self.classifier = _classifier(parameters)
        self.vectorizer = _vectorizer(parameters.vectorizer) if parameters.vectorizer is not None else None

    def predict(self, contents: Any) -> tuple[Coded, NDArray[np.float64]]:
        """For texts, or lines of numbers: the label of each, and how probable the model finds it."""
        given = self.vectorizer.transform(contents) if self.vectorizer is not None else contents
        chances: NDArray[np.float64] = self.classifier.predict_proba(given)
        best = chances.argmax(axis=1)
        confidence = chances[np.arange(len(best)), best]
        return Coded(self.parameters.classes, best.astype(np.int32)), confidence

    def pickles(self) -> dict[str, bytes]:
        """The files that `pickle.load` gives the classifier and its vectorizer from. Written here, never read."""
        made = {"clf.p": pickle.dumps(self.classifier)}
        return made | ({"vectorizer.p": pickle.dumps(self.vectorizer)} if self.vectorizer is not None else {})


def parameters_of(classifier: Any, vectorizer: Any) -> LinearModel:
    """A trained classifier, and its vectorizer or None, in the safe form."""
    words = None
    if vectorizer is not None:
        vocabulary: dict[str, int] = vectorizer.vocabulary_
        words = Vectorizer(vocabulary=sorted(vocabulary, key=lambda word: int(vocabulary[word])))
    return LinearModel(
        classes=[str(name) for name in classifier.classes_],
        coefficients=classifier.coef_.tolist(),
        intercepts=classifier.intercept_.tolist(),
        vectorizer=words,
    )


def untrained() -> Any:
    """The classifier that training begins with: always the same."""
    return LogisticRegression(random_state=SEED, max_iter=MOST_ITERATIONS)


def bag_of_words(texts: Sequence[str]) -> Any:
    """A vectorizer that knows the words of these texts. Raises ValueError when they have none."""
    return CountVectorizer().fit(texts)


def _classifier(parameters: LinearModel) -> Any:
    made = untrained()
    made.classes_ = np.array(parameters.classes)
    made.coef_ = np.array(parameters.coefficients, dtype=np.float64)
    made.intercept_ = np.array(parameters.intercepts, dtype=np.float64)
    made.n_features_in_ = parameters.features
    made.n_iter_ = np.array([0], dtype=np.int32)
    return made


def _vectorizer(parameters: Vectorizer) -> Any:
    vocabulary = {word: n for n, word in enumerate(parameters.vocabulary)}
    return CountVectorizer(vocabulary=vocabulary, lowercase=parameters.lowercase, binary=parameters.binary)
