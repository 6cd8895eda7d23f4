"""Patterns over types, as on a topic exchange."""

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.events import Pattern, expression, matches

KIND = "job.split.video.succeeded"


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        ([], True),
        (["#"], True),
        (["job.#"], True),
        (["job.split.video.*"], True),
        (["job.*.*.succeeded"], True),
        (["job.#.succeeded"], True),
        (["#.succeeded"], True),
        (["#.split.#"], True),
        ([f"{KIND}.#"], True),
        (["#.#.#"], True),
        (["file.*", KIND], True),
        (["job.*"], False),
        (["job.*.succeeded"], False),
        (["job.split.video"], False),
        ([f"{KIND}.*"], False),
        (["job.#.failed"], False),
        (["split.#"], False),
        (["*"], False),
        (["job.split.vide.*"], False),
    ],
)
def test_a_pattern_means_what_it_means_to_the_broker(patterns: list[str], wanted: bool) -> None:
    assert matches(expression(patterns), KIND) is wanted


@pytest.mark.parametrize("text", ["", ".", "a..b", "a.", "a b", "a*", "(", "a.b%", ".".join("abcdefghijk")])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Pattern).validate_python(text)


def test_no_pattern_takes_for_ever() -> None:
    assert not matches(expression(["#.a.#.a.#.a.#.a.#.b"]), ".".join("a" * 40))
