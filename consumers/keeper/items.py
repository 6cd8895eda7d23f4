"""`items.import` and `items.set_state`: files of items, with a word about every line that did not go as it should."""

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import orjson

from consumers.artifacts import Step
from consumers.keeper import lines
from consumers.keeper.made import Bad, Made, Plain
from consumers.keeper.rows import rows
from consumers.outcome import Done, Rejected
from consumers.ports import Catalogue
from schemas.catalogue import ImportItems, SetStates
from schemas.items import KEY_SEPARATOR, LONGEST_KEY, key_of

REPORT = "report.ndjson"
BATCH = 5000
PIECE = 1024 * 1024
#: Of the files of an archive that are passed over, and of the name of each.
MOST_NAMED, LONGEST_NAME = 100, 200
#: To be raised whenever the same file would make other items than before.
READING = 5


def import_items(params: ImportItems, workspace: Catalogue) -> Done:
    """Stage the file as it is read, merge it at once. Merged, it stays so: a later attempt only tells it."""
    report = workspace.scratch / REPORT
    merged = next(iter(workspace.checkpoints()), None)
    others: list[str] = []
    with report.open("wb") as sink:
        source = Staging(_items(params, workspace, others), sink)
        if merged is None:
            merged = _merged(params, source, workspace)
        while source.read(PIECE):
            pass
    if merged is None:
        raise Rejected("unknown_collection", "There is no such collection.")
    return _told(merged, source.rejected, others, report, workspace)


def _merged(params: ImportItems, source: "Staging", workspace: Catalogue) -> Step | None:
    """What breaks the reading comes through the database as something else: it is the reading that counts."""
    try:
        return workspace.import_items(params.collection, source, _name(params, workspace))
    except Exception:
        if source.broken is not None:
            raise source.broken from None
        raise


def _told(merged: Step, rejected: int, others: Sequence[str], report: Path, workspace: Catalogue) -> Done:
    record = merged.record
    with report.open("ab") as sink:
        for outcome in ("duplicate", "updated"):
            for number, key in record[f"{outcome}_lines"]:
                _say(sink, {"line": number, "outcome": outcome, "key": key})
    counts = {name: record[name] for name in ("inserted", "updated", "unchanged", "duplicate")}
    artifact = workspace.store(REPORT, report, "application/x-ndjson")
    result: dict[str, Any] = {"lines": sum(counts.values()) + rejected, **counts, "rejected": rejected}
    if others:
        result["passed_over"] = [name[:LONGEST_NAME] for name in others[:MOST_NAMED]]
    return Done(result, (artifact,))


def _name(params: ImportItems, workspace: Catalogue) -> str:
    """Two imports of one name make the same of their lines."""
    told = orjson.dumps([READING, workspace.name(params.file), params.model_dump(mode="json")])
    return sha256(told).hexdigest()


def _items(params: ImportItems, workspace: Catalogue, others: list[str]) -> Iterator[Made]:
    path = workspace.input(params.file)
    for name, text in lines.texts(path, workspace.name(params.file), others):
        yield from rows(text, name, params)


class Staging:
    """Items as the database wants to be told of them, made as fast as it reads. Bad lines go to the report."""

    def __init__(self, items: Iterator[Made], report: IO[bytes]) -> None:
        self._items = items
        self._report = report
        self._held = b""
        self.rejected = 0
        self.broken: Exception | None = None

    def read(self, size: int = PIECE) -> bytes:
        """The next piece: lines of line, key, partition, attributes."""
        while not self._held:
            try:
                some = next(self._items, None)
            except Exception as error:
                self.broken = error
                raise
            if some is None:
                return b""
            self._held = self._lines(some)  # nothing, when all of them were bad
        piece, self._held = self._held[:size], self._held[size:]
        return piece

    def _lines(self, some: Made) -> bytes:
        if isinstance(some, Plain):
            return some.text.encode()
        made = []
        for each in some:
            if isinstance(each, Bad):
                self.rejected += 1
                _say(self._report, {"line": each.line, "outcome": "rejected", "reason": each.reason})
                continue
            made.append(f"{each.line}\t{_escaped(each.key)}\t{_escaped(each.partition)}\t{_escaped(each.attributes)}\n")
        return "".join(made).encode()


def _escaped(text: str) -> str:
    """As `copy` reads it: what would end a field or a line has a backslash before it."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def set_states(params: SetStates, workspace: Catalogue) -> Done:
    """Move the items batch by batch; each batch is remembered with what became of it."""
    done = workspace.checkpoints()
    text = chain.from_iterable(found for _, found in lines.texts(workspace.input(params.file), ""))
    odd: list[dict[str, Any]] = []
    named = ((n, key) for n, line in enumerate(text, 1) if (key := _first_column(line)) and _sound(n, key, odd))
    skip = sum(step.record["lines"] for step in done)
    for ordinal in range(len(done), 10**6):
        batch = list(islice(named, skip, skip + BATCH))
        skip = 0
        if not batch:
            break
        step = workspace.move_items(params.collection, params.state, batch, ordinal)
        if step is None:
            raise Rejected("unknown_collection", "There is no such collection.")
        done.append(step)
    counts: Counter[str] = Counter()
    counts["rejected"] += len(odd)
    report = workspace.scratch / REPORT
    with report.open("wb") as sink:
        for told in odd:
            _say(sink, told)
        for step in done:
            counts.update(step.record["counts"])
            for number, key, code in step.record["refused"]:
                _say(sink, {"line": number, "key": key, "outcome": "refused", "code": code})
    artifact = workspace.store(REPORT, report, "application/x-ndjson")
    return Done({name: counts[name] for name in ("updated", "unchanged", "unknown", "rejected")}, (artifact,))


def _first_column(line: str) -> str:
    """The key before the first comma, as an import makes it; nothing for blank lines and comments."""
    return "" if line.startswith("#") else key_of(line.partition(",")[0].split(KEY_SEPARATOR))


def _sound(number: int, key: str, odd: list[dict[str, Any]]) -> bool:
    """Whether an item could have such a key. Those that could not are remembered."""
    try:
        sound = len(key.encode()) <= LONGEST_KEY and "\0" not in key
    except UnicodeEncodeError:
        sound = False
    if not sound:
        odd.append({"line": number, "key": ascii(key)[1:-1][:LONGEST_KEY], "outcome": "refused", "code": "not_text"})
    return sound


def _say(sink: IO[bytes], told: dict[str, Any]) -> None:
    sink.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE, default=str))
