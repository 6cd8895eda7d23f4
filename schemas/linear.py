"""The safe form of a classifier: parameters as plain JSON, which can say nothing but numbers and words. Pure."""

import hashlib
from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, StringConstraints, model_validator

from schemas.fields import Strict

Word = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=r"^[^\x00]*$")]
MOST_CLASSES = 1000
MOST_FEATURES = 1_000_000


class Vectorizer(Strict):
    """A bag of words, as scikit-learn's CountVectorizer makes it with its own rules for what a word is."""

    type: Literal["count"] = "count"
    vocabulary: list[Word] = Field(min_length=1, max_length=MOST_FEATURES, description="The words, by column.")
    lowercase: bool = True
    binary: bool = False

    @model_validator(mode="after")
    def _unique(self) -> Self:
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise ValueError("the vocabulary has a word twice")
        return self


class LinearModel(Strict):
    """A logistic regression, with the vectorizer that it was trained behind. Two classes share one row."""

    type: Literal["logistic_regression"] = "logistic_regression"
    classes: list[Label] = Field(min_length=2, max_length=MOST_CLASSES)
    coefficients: list[list[FiniteFloat]] = Field(min_length=1, max_length=MOST_CLASSES)
    intercepts: list[FiniteFloat] = Field(min_length=1, max_length=MOST_CLASSES)
    vectorizer: Vectorizer | None = Field(None, description="Needed for texts; absent for numeric features.")

    @property
    def features(self) -> int:
        """How many numbers a datapoint has."""
        return len(self.coefficients[0])

    @model_validator(mode="after")
    def _fits(self) -> Self:
        rows = 1 if len(self.classes) == 2 else len(self.classes)
        if len(self.coefficients) != rows or len(self.intercepts) != rows:
            raise ValueError(f"{len(self.classes)} classes need {rows} rows of coefficients and as many intercepts")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("a class is named twice")
        if not self.features or any(len(row) != self.features for row in self.coefficients):
            raise ValueError("every row of coefficients has one number for each feature")
        if self.vectorizer is not None and len(self.vectorizer.vocabulary) != self.features:
            raise ValueError("the vocabulary has one word for each feature")
        return self

    def encoded(self) -> bytes:
        """The bytes that are stored, and whose hash is."""
        return self.model_dump_json().encode()


class Unsafe(ValueError):
    """Bytes that are no model in this form: they are read no further."""


def decode(stored: bytes, sha256: str) -> LinearModel:
    """A stored model. Nothing but JSON is ever read. Raises Unsafe when the hash is not theirs, or the form is not."""
    if hashlib.sha256(stored).hexdigest() != sha256:
        raise Unsafe("the bytes are not those that were registered")
    try:
        return LinearModel.model_validate_json(stored)
    except ValueError:
        raise Unsafe("the bytes are no model in the safe form") from None
