"""Frame rates as exact rationals: `5`, `"29.97"`, `"30000/1001"` all mean one thing and never become floats."""

import re
from fractions import Fraction
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

# Common shorthand for the NTSC family. A user who writes 29.97 means 30000/1001.
NTSC = {
    Fraction("23.976"): Fraction(24000, 1001),
    Fraction("23.98"): Fraction(24000, 1001),
    Fraction("29.97"): Fraction(30000, 1001),
    Fraction("47.95"): Fraction(48000, 1001),
    Fraction("59.94"): Fraction(60000, 1001),
    Fraction("119.88"): Fraction(120000, 1001),
}
LOWEST = Fraction(1, 3600)
HIGHEST = Fraction(1000)
LONGEST_TEXT = 32
PATTERN = r"[0-9]+([.][0-9]+|/[0-9]+)?"
WRITTEN = re.compile(PATTERN)
MEANT = "a rate is a number of frames per second, such as 5, 0.5, 29.97 or 30000/1001"


def parse(value: Any) -> Fraction:
    """Read a rate in frames per second from an int, a float or text such as `"30000/1001"`.

    Raises ValueError for anything that is not a finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Fraction):
        raise ValueError(MEANT)
    text = f"{value:.6f}" if isinstance(value, float) and isfinite(value) else str(value).strip()
    # No exponents: eleven characters such as 1e999999999 would take for ever and all the memory.
    if WRITTEN.fullmatch(text) is None or len(text) > LONGEST_TEXT:
        raise ValueError(MEANT)
    try:
        rate = Fraction(text)
    except ZeroDivisionError:
        raise ValueError(MEANT) from None
    return NTSC.get(rate, rate)


def in_range(rate: Fraction) -> Fraction:
    """Refuse rates that no video can mean."""
    if not LOWEST <= rate <= HIGHEST:
        raise ValueError(f"a rate lies between 1/3600 and {HIGHEST} frames per second")
    return rate.limit_denominator(1_000_000)


Rate = Annotated[
    Fraction,
    BeforeValidator(parse),
    AfterValidator(in_range),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1000},
                {"type": "string", "pattern": rf"^\s*{PATTERN}\s*$", "maxLength": LONGEST_TEXT},
            ],
            "description": "Frames per second: 5, 0.5, 29.97 or 30000/1001.",
            "examples": [5, "30000/1001"],
        }
    ),
]
