"""Values as people read them: sizes, spans of time, numbers. Pure."""

from datetime import UTC, datetime

import orjson
from markupsafe import Markup, escape

NOTHING = "\u2013"
FAR_SECONDS = 45 * 86400
"""Beyond this a date says more than a number of days."""


def size(count: float) -> str:
    """Bytes: `1.4 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def span(seconds: float | None) -> str:
    """Seconds: `340 ms`, `12.3 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    for unit, inner, length, names in ((60, 1, 3600, ("min", "s")), (3600, 60, 86400, ("h", "min"))):
        if seconds < length:
            whole, rest = divmod(int(seconds), unit)
            return f"{whole} {names[0]} {rest // inner} {names[1]}" if rest // inner else f"{whole} {names[0]}"
    days, rest = divmod(int(seconds), 86400)
    return f"{days} d {rest // 3600} h" if rest // 3600 else f"{days} d"


def ago(moment: datetime | None) -> Markup:
    """How long ago, or how soon, with the exact time for those who ask."""
    if moment is None:
        return Markup("{}").format(NOTHING)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if abs(seconds) > FAR_SECONDS:
        said = f"{moment.astimezone(UTC):%Y-%m-%d}"
    else:
        said = "just now" if abs(seconds) < 1.5 else f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"
    exact = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(exact, _rough(said))


def exact(moment: datetime) -> Markup:
    """Date and time with their zone, for records."""
    said = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}">{}</time>').format(moment.astimezone(UTC).isoformat(), said)


def clock(moment: datetime) -> str:
    """The time of the day, with milliseconds."""
    return moment.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from one moment to another; to now when the other has not come."""
    if start is None:
        return None
    return ((end or datetime.now(UTC)) - start).total_seconds()


def number(value: float) -> str:
    """Whole numbers with thin spaces between thousands."""
    return f"{value:,.0f}".replace(",", "\u202f")


def capped(count: int, most: int) -> str:
    """A count that was stopped at `most`."""
    return f"{number(most)}+" if count > most else number(count)


def json(value: object) -> str:
    """JSON to read; large integers stay exact."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS, default=str).decode()


def short(text: object, length: int = 8) -> Markup:
    """The end of an id, which is what tells it from its neighbours, with the whole for those who ask."""
    return Markup('<span class="mono" title="{}">{}</span>').format(text, escape(str(text)[-length:]))


def prose(text: str) -> Markup:
    """A sentence of a document, with what stands between backticks as code."""
    parts = text.split("`")
    marked = [Markup("<code>{}</code>").format(part) if n % 2 else escape(part) for n, part in enumerate(parts)]
    return Markup("").join(marked)


def plural(count: int, word: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number(count)} {word}" if count == 1 else f"{number(count)} {word}s"


def _rough(said: str) -> str:
    """Tenths of seconds in a moment are noise."""
    head, dot, rest = said.partition(".")
    return head + rest[1:] if dot and " s" in rest else said
