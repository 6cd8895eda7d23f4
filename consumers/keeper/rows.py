"""From lines to items, whatever their form. A line that makes no item says why."""

from collections.abc import Iterator
from itertools import islice

import orjson

from consumers.keeper.lines import Text
from consumers.keeper.made import Bad, Made, Row, item
from consumers.keeper.tables import KEYS, PARTITION, of_table
from schemas.catalogue import Format, ImportItems
from schemas.items import key_of

BATCH = 500


def rows(text: Text, name: str, wanted: ImportItems) -> Iterator[Made]:
    """The items in a text called `name`, some at a time. Raises Rejected when it has no such columns."""
    if not text.peek():
        return iter(())
    form = _form(wanted.format, name, text.peek())
    if form is Format.JSONL:
        return _of_objects(text, wanted)
    return of_table(text, name, form, wanted)


def _form(given: Format, name: str, first: str) -> Format:
    if given is not Format.AUTO:
        return given
    if first.lstrip().startswith("{"):
        return Format.JSONL
    if first.startswith("#"):
        return Format.AUDIOSET
    return Format.TSV if name.endswith((".tsv", ".tab")) or ("\t" in first and "," not in first) else Format.CSV


def _of_objects(lines: Text, wanted: ImportItems) -> Iterator[Made]:
    """A JSON object on each line."""
    numbered = enumerate(lines, 1)
    while some := list(islice(numbered, BATCH)):
        yield [_of_object(number, text, wanted) for number, text in some if text.strip()]


def _of_object(number: int, text: str, wanted: ImportItems) -> Row | Bad:
    try:
        given = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return Bad(number, "not_json")
    if not isinstance(given, dict):
        return Bad(number, "no_object")
    columns = wanted.key or [next((name for name in given if name.lower() in KEYS), "key")]
    parts = [given.pop(column, None) for column in columns]
    if not all(isinstance(part, str | int) and not isinstance(part, bool) for part in parts):
        return Bad(number, "no_key")
    partition = wanted.partition
    if partition is None:
        partition = given.pop(PARTITION, "")
    if not isinstance(partition, str):
        return Bad(number, "bad_partition")
    attributes = {wanted.columns.get(str(name), str(name)): value for name, value in given.items()}
    return item(number, key_of([str(part) for part in parts]), partition, attributes)
