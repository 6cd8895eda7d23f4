"""Which of the media types of a reply its caller would rather have (RFC 9110, 12.5.1)."""

import re

from starlette.requests import Request

HTML, JSON = "text/html", "application/json"
QUALITY = re.compile(r"0(?:\.[0-9]*)?|1(?:\.0*)?")
Weight = tuple[float, int, int]
UNNAMED: Weight = (0.0, 0, 0)


def preferred(request: Request, *offered: str) -> str:
    """One of these media types: of equal ones the one that is named exactly or first; the first that is offered, if
    the caller says nothing or wants none of them."""
    said = [_range(part) for part in ",".join(request.headers.getlist("accept")).split(",")]
    return max(offered, key=lambda media: _weight(media, said))


def _weight(media: str, said: list[tuple[str, float]]) -> Weight:
    """How much it is wanted; how exactly it is named; how early. What names it most exactly says how much."""
    names = ("*/*", f"{media.partition('/')[0]}/*", media)
    exact = [(names.index(name), -at, quality) for at, (name, quality) in enumerate(said) if name in names]
    if not exact:
        return UNNAMED
    exactness, early, quality = max(exact)
    return (quality, exactness, early) if quality else UNNAMED


def _range(part: str) -> tuple[str, float]:
    """A range of media types, and how much it is wanted: not at all, where nobody can tell."""
    name, *parameters = (word.strip().lower() for word in part.split(";"))
    stated = next((word[2:].strip() for word in parameters if word.startswith("q=")), "1")
    return name, float(stated) if QUALITY.fullmatch(stated) else 0.0
