"""Logs: one event per line on stderr, with an `action`, and with `job_id` and `trace_id` where there are any.

Nothing that is named like a secret, and no credential inside a URL, gets out. An exception becomes its type, its
message and its places in the code: one line, and no folder of the machine.
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars

from infra.settings import Settings

HIDDEN = "***"
SECRET_NAME = re.compile(r"secret|token|password|passwd|authorization|credential|cookie|api_?key", re.IGNORECASE)
# user:password@ in a URL, and signed or secret values in a query or a header.
SECRET_TEXT = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/@]*@"
    r"|(?P<name>[\w-]*(?:signature|credential|secret|token|password|api_?key)[\w-]*=)[^&\s]+"
    r"|(?P<kind>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}",
    re.IGNORECASE,
)
# Without one of these, a text has no secret that the pattern would find.
SIGNS = ("=", "://", " ")
# Their events are told by our own lines; these would only repeat them, many lines at a time.
CHATTY = ("pika", "amqp", "kombu", "urllib3")
DEEPEST = 12

Fields = MutableMapping[str, Any]


def configure(settings: Settings, service: str) -> None:
    """Set up this process's logs, ours and those of the libraries. Safe to call twice."""
    shared: list[Any] = [
        merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper("iso"),
        _named(service),
        _flatten_exception,
        redact,
    ]
    json = settings.log_format == "json"
    render = structlog.processors.JSONRenderer(_dumps) if json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[*shared, render],
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    handler = _Stderr()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _Stderr(logging.Handler):
    """Whatever `sys.stderr` is at the time: it may be redirected after we were set up."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


@contextmanager
def about(job_id: UUID, traceparent: str | None) -> Iterator[None]:
    """Everything logged inside carries the job and its trace."""
    with bound_contextvars(job_id=str(job_id), trace_id=trace_id(traceparent)):
        yield


def trace_id(traceparent: str | None) -> str | None:
    """The trace id in a W3C `traceparent`: 32 hex digits, or None."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else None


def redact(_: Any, __: str, fields: Fields) -> Fields:
    """Hide secrets, by the name of a field and by the look of a text, at any depth."""
    for name, value in fields.items():
        fields[name] = _clean(name, value, 0)
    return fields


def _clean(name: str, value: Any, depth: int) -> Any:
    if value is not None and _is_secret(name):
        return HIDDEN
    if isinstance(value, str):
        # The pattern takes its time with long words; an id has none of these, and goes by.
        return SECRET_TEXT.sub(_hide, value) if any(sign in value for sign in SIGNS) else value
    if depth < DEEPEST and isinstance(value, dict):
        return {key: _clean(str(key), inner, depth + 1) for key, inner in value.items()}
    if depth < DEEPEST and isinstance(value, list | tuple | set):
        return [_clean("", inner, depth + 1) for inner in value]
    return value


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return SECRET_NAME.search(name) is not None


def _hide(found: re.Match[str]) -> str:
    kept = found["scheme"] or found["name"] or found["kind"]
    return f"{kept}{HIDDEN}@" if found["scheme"] else f"{kept}{HIDDEN}"


def _named(service: str) -> Any:
    def add(_: Any, __: str, fields: Fields) -> Fields:
        fields["service"] = service
        if "_record" in fields:  # a library's line
            fields.setdefault("action", f"library.{fields['_record'].name}")
        return fields

    return add


def _flatten_exception(_: Any, __: str, fields: Fields) -> Fields:
    given = fields.pop("exc_info", None)
    if not given:
        return fields
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1]
    if error is not None:
        frames = traceback.extract_tb(error.__traceback__)[-DEEPEST:]
        fields["error"] = type(error).__name__
        fields["reason"] = str(error)
        fields["where"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return fields


def _dumps(fields: Any, default: Any = None, **_: Any) -> str:
    return orjson.dumps(fields, default=default or str, option=orjson.OPT_NON_STR_KEYS).decode()
