"""Rates are exact, and nonsense is refused with a sentence."""

from fractions import Fraction
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.rates import Rate

RATE: TypeAdapter[Fraction] = TypeAdapter(Rate)


@pytest.mark.parametrize(
    ("given", "exact"),
    [
        (5, Fraction(5)),
        ("5", Fraction(5)),
        (0.5, Fraction(1, 2)),
        ("30000/1001", Fraction(30000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (0.1, Fraction(1, 10)),
        (1e-3, Fraction(1, 1000)),
        (" 12.5 ", Fraction(25, 2)),
    ],
)
def test_a_rate_is_read_exactly(given: Any, exact: Fraction) -> None:
    assert RATE.validate_python(given) == exact


@pytest.mark.row("S3-06")
@pytest.mark.parametrize(
    "given",
    [
        0,
        -1,
        "0",
        "-5",
        "abc",
        "",
        "1/0",
        "nan",
        "inf",
        float("nan"),
        float("inf"),
        True,
        None,
        [],
        1e12,
        "1e400",
        "1e999999999",
        "-1/3",
        "9" * 40,
    ],
)
def test_what_is_no_rate_is_refused(given: Any) -> None:
    with pytest.raises(ValidationError) as refusal:
        RATE.validate_python(given)
    assert "rate" in str(refusal.value)


def test_a_rate_survives_json() -> None:
    rate = Fraction(30000, 1001)
    assert RATE.validate_json(RATE.dump_json(rate)) == rate
