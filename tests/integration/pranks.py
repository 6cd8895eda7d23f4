"""A kind of the fast lane whose handler does what a test tells it to."""

from dataclasses import replace
from typing import Any

from consumers.outcome import JobError, Rejected
from consumers.registry import Work
from schemas.fields import Strict
from tests.lane import ECHO


class Prank(Strict):
    """What to do, and what to say."""

    do: str = "echo"
    text: str = ""


def handle(params: Prank) -> dict[str, Any]:
    """Do it."""
    match params.do:
        case "reject":
            raise Rejected("no_good", "Never.")
        case "stumble":
            raise JobError("not_now", "Later.")
        case "break":
            raise ZeroDivisionError
        case "nul":
            return {"text": "\0"}
        case "object":
            return {"text": object()}
    return {"text": params.text}


def work() -> dict[str, Work]:
    """The one kind, under the name of the echo."""
    kind = replace(ECHO, params=Prank, limits=replace(ECHO.limits, attempts=2))
    return {kind.name: Work(kind, "tests.integration.pranks:handle")}
