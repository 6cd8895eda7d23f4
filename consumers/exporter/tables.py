"""The four tables of an export: what people labelled, what waits for more votes, times, and what the model says."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from consumers.archive.columns import Told
from consumers.archive.zipping import Member
from consumers.exporter import copied
from consumers.exporter.model import Model
from consumers.exporter.people import People
from consumers.exporter.table import Column, Table, Type
from consumers.snapshot import Snapshot
from schemas.exports import Format

BLOCK = 16_384
TEXT_BLOCK = 4096


class Tables:
    """The tables of one export, below `folder`."""

    def __init__(self, snapshot: Snapshot, people: People, folder: Path, formats: Sequence[Format]) -> None:
        assert snapshot.classifier is not None
        folder.mkdir()
        self._snapshot = snapshot
        self._people = people
        content = [Column(name, Type.NUMBER) for name in snapshot.features] or [Column("text_data", Type.TEXT)]
        id_and_content = [Column("text_id", Type.INTEGER), *content]
        label = Column("label", Type.TEXT)
        votes = [Column("labels", Type.TEXTS), Column("users", Type.TEXTS)]
        times = [
            Column("stamp_id", Type.INTEGER),
            Column("user_id", Type.TEXT),
            Column("text_id", Type.INTEGER),
            Column("start_time", Type.MOMENT),
            Column("end_time", Type.MOMENT),
        ]
        machine = f"machine_labeled_data_{snapshot.classifier.id}"
        given = (folder, formats)
        self.machine = Table(machine, [*id_and_content, label, Column("confidence", Type.NUMBER)], *given)
        self.human = Table("human_labeled_data", [*id_and_content, label, *votes], *given)
        self.pending = Table("pending_votes", [*id_and_content, *votes], *given)
        self.timestamps = Table("sample_timestamps", times, *given)
        self._names = [column.name for column in content]

    @property
    def all(self) -> tuple[Table, ...]:
        """In the order of the archive."""
        return self.machine, self.human, self.pending, self.timestamps

    def members(self, told: Told) -> Iterator[Member]:
        """All of them as files of the archive."""
        total, done = sum(table.rows for table in self.all), 0
        for table in self.all:
            yield from table.members(partial(_scaled, told, done, table.rows, max(total, 1)))
            done += table.rows

    def fill(self, model: Model, told: Told) -> None:
        """Write all of them. `told` hears how much of it is done, 0 to 1."""
        self._fill_votes()
        if self._snapshot.features:
            self._predict_vectors(model, told)
        else:
            self._predict_texts(model, told)

    def _fill_votes(self) -> None:
        parts = self._snapshot.parts
        for block, contents in self._with_contents("human"):
            self.human.add(contents | {"label": [row[2] for row in block]} | self._votes(block))
        for block, contents in self._with_contents("pending"):
            self.pending.add(contents | self._votes(block))
        for block in copied.blocks(copied.records(parts["timestamps"]), TEXT_BLOCK):
            stamps, people, texts, starts, ends = zip(*block, strict=True)
            names = [self._people.name(person) for person in people]
            times = {"stamp_id": stamps, "user_id": names, "text_id": texts, "start_time": starts, "end_time": ends}
            self.timestamps.add(times)

    def _with_contents(self, part: str) -> Iterator[tuple[Sequence[Any], dict[str, Any]]]:
        """Rows `[id, text, label, labels, users]` in blocks, each with the columns of its ids and contents."""
        blocks = copied.blocks(copied.records(self._snapshot.parts[part]), TEXT_BLOCK)
        if not self._snapshot.features:
            for block in blocks:
                yield block, {"text_id": [row[0] for row in block], "text_data": [row[1] for row in block]}
            return
        path = self._snapshot.parts[f"{part}_vectors"]
        for block, vectors in zip(blocks, copied.vectors(path, len(self._names), TEXT_BLOCK), strict=True):
            if vectors.ids.tolist() != [row[0] for row in block]:
                raise copied.Malformed("the vectors are of other rows")
            yield block, self._columns(vectors)

    def _columns(self, vectors: copied.Vectors) -> dict[str, Any]:
        return {"text_id": vectors.ids} | dict(zip(self._names, vectors.columns, strict=True))

    def _votes(self, block: Sequence[Any]) -> dict[str, Sequence[Any]]:
        users = [[self._people.name(person) for person in row[4]] for row in block]
        return {"labels": [row[3] for row in block], "users": users}

    def _predict_vectors(self, model: Model, told: Told) -> None:
        path, dimension = self._snapshot.parts["vectors"], len(self._snapshot.features)
        total = copied.count(path, dimension)
        for block in copied.vectors(path, dimension, BLOCK):
            labels, confidence = model.predict(block.columns.T)
            columns = self._columns(block)
            self.machine.add(columns | {"label": labels, "confidence": confidence})
            told(self.machine.rows / total)
        path.unlink()

    def _predict_texts(self, model: Model, told: Told) -> None:
        path = self._snapshot.parts["texts"]
        total, read = path.stat().st_size, 0
        for block in copied.blocks(copied.records(path), TEXT_BLOCK):
            ids, texts = zip(*block, strict=True)
            labels, confidence = model.predict(texts)
            rows: dict[str, Any] = {"text_id": ids, "text_data": texts, "label": labels, "confidence": confidence}
            self.machine.add(rows)
            read += sum(len(text) for text in texts)
            told(min(1.0, read / total))
        path.unlink()


def _scaled(told: Told, done: int, rows: int, total: int, part: float) -> None:
    told((done + part * rows) / total)


def counts(tables: Tables) -> Iterator[tuple[str, int]]:
    """How many rows each has, by the words of the result."""
    yield "machine", tables.machine.rows
    yield "human", tables.human.rows
    yield "pending", tables.pending.rows
    yield "timestamps", tables.timestamps.rows
