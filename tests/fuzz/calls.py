"""Requests from the OpenAPI document, valid and senseless, against a running gateway; every answer is looked at.

Ids in paths are often those of things that exist: an answer of 404 alone would prove little.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok

from gateway.problems import MEDIA_TYPE
from tests.fuzz import mutation
from tests.fuzz.mutation import Call
from tests.system import local_client

#: What a full or starved system may say: it is asked again, and nothing is broken.
PRESSURE = 503
PATIENCE = 120.0
#: Headers that are the client's own.
OURS = frozenset({"authorization", "host", "user-agent", "accept-encoding", "connection", "content-length"})


@schemathesis.serializer("application/offset+octet-stream", "application/x-ndjson")
def _as_it_is(_: Any, value: Any) -> bytes:
    """Bytes as bytes; of anything else, its JSON on a line."""
    return value if isinstance(value, bytes) else orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)


@dataclass
class Tally:
    """What was answered, and what should not have been."""

    answers: Counter[str] = field(default_factory=Counter)
    pressure: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many were sent."""
        return self.answers.total()

    def note(self, case: str, answer: httpx.Response) -> None:
        """Look at one answer."""
        status = answer.status_code
        self.answers[f"{status // 100}xx"] += 1
        if status < 400:
            return
        wrong = fault(answer)
        if status == PRESSURE and wrong is None:
            self.pressure[answer.json()["code"]] += 1
        elif status >= 500:
            self.broken.append(f"{case}: {status} {answer.text[:300]}")
        elif wrong is not None:
            self.broken.append(f"{case}: {status} {wrong}")

    def __str__(self) -> str:
        parts = [f"{self.requests:7}  requests: " + ", ".join(f"{n} x {c}" for c, n in sorted(self.answers.items()))]
        parts.append(f"{self.pressure.total():7}  said that the system is full: {dict(self.pressure)}")
        parts.append(f"{len(self.broken):7}  answers are errors of the server or no problem document")
        return "\n".join([*parts, *self.broken[:20]])


def fault(answer: httpx.Response) -> str | None:
    """What is wrong with the body of a refusal: each is a problem document with a code."""
    if answer.request.method == "HEAD":
        return None
    kind = answer.headers.get("content-type", "")
    path = answer.request.url.path
    if kind.startswith("text/html") and (path == "/" or path.startswith("/id/")):
        return None  # a page for people
    if not kind.startswith(MEDIA_TYPE):
        return f"is {kind or 'nothing'}"
    body = answer.json()
    said = {name: body.get(name) for name in ("code", "title", "status", "detail")}
    if not all(said.values()) or said["status"] != answer.status_code:
        return f"says {said}"
    return "shows a traceback" if "Traceback" in answer.text else None


def operations(document: Mapping[str, Any]) -> Sequence[Any]:
    """Every operation that the document has."""
    found = schemathesis.openapi.from_dict(dict(document)).get_all_operations()
    return [each.ok() for each in found if isinstance(each, Ok)]


class Sender:
    """Sends what is generated, and each of them made worse a few times; keeps the tally."""

    def __init__(self, url: str, token: str, known: Sequence[str], chance: random.Random) -> None:
        self.tally = Tally()
        self.chance = chance
        self._known = known
        self._token = {"authorization": f"Bearer {token}"}
        self._http = local_client(url, timeout=PATIENCE)

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def send(self, case: Case[Any], worse: int) -> None:
        """One generated request, and so many mutations of it."""
        call = self._call(case)
        if call is None:
            return
        self._exchange(call)
        for _ in range(worse):
            self._exchange(mutation.worse(call, self._known, self.chance))

    def _call(self, case: Case[Any]) -> Call | None:
        path = re.sub(r"{(\w+)}", lambda found: self._id(case, found[1]), case.path)
        given = case.as_transport_kwargs()
        body = {name: given[name] for name in ("data", "json", "files") if given.get(name) is not None}
        if isinstance(body.get("data"), bytes | str):
            body["content"] = body.pop("data")
        headers = {k: v for k, v in (given.get("headers") or {}).items() if k.lower() not in OURS and _sendable(k, v)}
        try:
            request = self._http.build_request(case.method, "/", headers=headers, **body)
            content = request.read()
        except (UnicodeError, TypeError, ValueError, AttributeError):
            return None  # no client can send this
        kept = {name: value for name, value in request.headers.items() if name not in OURS}
        query = tuple((str(k), str(v)) for k, v in (case.query or {}).items())
        return Call(case.method, path, query, kept, content)

    def _exchange(self, call: Call) -> None:
        query = [(k, self.chance.choice(("0", "x", "-1", "1e9")) if k == "wait" else v) for k, v in call.query]
        try:
            request = self._http.build_request(
                call.method, call.path, params=tuple(query), headers=call.headers | self._token, content=call.content
            )
        except (httpx.InvalidURL, UnicodeError):
            return
        answer = self._http.send(request, stream=True)
        try:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                answer.read()
                self.tally.note(f"{call.method} {str(request.url)[:400]} {call.content[:400]!r}", answer)
        finally:
            answer.close()

    def _id(self, case: Case[Any], name: str) -> str:
        if self.chance.random() < 0.7:
            return quote(self.chance.choice(self._known), safe="")
        return quote(str((case.path_parameters or {}).get(name, "x")).encode("utf-8", "surrogatepass"), safe="") or "x"


def _sendable(name: Any, value: Any) -> bool:
    try:
        return str(name).isascii() and str(value).isprintable() and str(value).encode("latin-1") is not None
    except UnicodeError:
        return False


def fuzz(sender: Sender, document: Mapping[str, Any], requests: int, number: int, worse: int = 4) -> Tally:
    """At least so many requests over all operations: valid ones, wrong ones, and mutations of both."""
    turns = list(_turns(operations(document)))
    each = max(requests // len(turns) // (1 + worse), 1)
    for operation, mode in turns:
        _examples(sender, operation.as_strategy(generation_mode=mode), each, number, worse)
    while sender.tally.requests < requests:  # what could not be sent is made up for
        operation, mode = sender.chance.choice(turns)
        number += 1
        _examples(sender, operation.as_strategy(generation_mode=mode), 5, number, 10 * worse)
    return sender.tally


def _turns(table: Sequence[Any]) -> Iterator[tuple[Any, GenerationMode]]:
    for operation in table:
        yield operation, GenerationMode.POSITIVE
        if operation.body or operation.query or operation.headers:
            yield operation, GenerationMode.NEGATIVE


def _examples(sender: Sender, strategy: Any, number: int, start: int, worse: int) -> None:
    @seed(start)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(case: Case[Any]) -> None:
        sender.send(case, worse)

    one()
