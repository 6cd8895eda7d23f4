"""The four tables of an export: what people labelled, what waits for more votes, times, and what the model says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from consumers.archive.columns import Told
from consumers.archive.zipping import Member
from consumers.exporter import copied
from consumers.exporter.model import BLAS, Model
from consumers.exporter.people import People
from consumers.exporter.table import Column, Table, Type
from consumers.snapshot import Snapshot
from schemas.exports import Format

BLOCK = 32_768
TEXT_BLOCK = 4096


class Stopped(Exception):
    """Nobody reads the tables any more."""


class Tables:
    """The tables of one export, below `folder`."""

    def __init__(self, snapshot: Snapshot, people: People, folder: Path, formats: Sequence[Format]) -> None:
        assert snapshot.classifier is not None
        folder.mkdir()
        self._snapshot = snapshot
        self._people = people
        content = [Column(name, Type.NUMBER) for name in snapshot.features] or [Column("text_data", Type.TEXT)]
        id_and_content = [Column("text_id", Type.INTEGER), *content]
        label, said = Column("label", Type.TEXT), Column("label", Type.WORD)
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
        self.machine = Table(machine, [*id_and_content, said, Column("confidence", Type.NUMBER)], *given)
        self.human = Table("human_labeled_data", [*id_and_content, label, *votes], *given)
        self.pending = Table("pending_votes", [*id_and_content, *votes], *given)
        self.timestamps = Table("sample_timestamps", times, *given)
        self._names = [column.name for column in content]
        self._stopped = Event()

    @property
    def all(self) -> tuple[Table, ...]:
        """In the order of the archive."""
        return self.machine, self.human, self.pending, self.timestamps

    def members(self, told: Told) -> Iterator[Member]:
        """All of them as files of the archive. They may be read while they are filled."""
        for number, table in enumerate(self.all):
            yield from table.members(partial(self._told, told, number))

    @contextmanager
    def filling(self, model: Model, told: Told) -> Iterator[None]:
        """Within the block a thread writes all of them. `told` hears how much of it is done, 0 to 1.

        What it fails with is raised where they are read.
        """
        thread = Thread(target=self._fill, args=(model, told), name="filling", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def _fill(self, model: Model, told: Told) -> None:
        predict = self._predict_vectors if self._snapshot.features else self._predict_texts
        try:
            # Further threads of BLAS would spin, for so little, on processors that the rest needs.
            with BLAS.limit(limits=1, user_api="blas"):
                predict(model, told)
            self.machine.end()
            self._fill_votes()
        except BaseException as error:
            for table in self.all:
                table.end(error)

    def _fill_votes(self) -> None:
        parts = self._snapshot.parts
        for block, contents in self._with_contents("human"):
            self._add(self.human, contents | {"label": [row[2] for row in block]} | self._votes(block))
        self.human.end()
        for block, contents in self._with_contents("pending"):
            self._add(self.pending, contents | self._votes(block))
        self.pending.end()
        for block in copied.blocks(copied.records(parts["timestamps"]), TEXT_BLOCK):
            stamps, people, texts, starts, ends = zip(*block, strict=True)
            names = [self._people.name(person) for person in people]
            times = {"stamp_id": stamps, "user_id": names, "text_id": texts, "start_time": starts, "end_time": ends}
            self._add(self.timestamps, times)
        self.timestamps.end()

    def _with_contents(self, part: str) -> Iterator[tuple[Sequence[Any], dict[str, Any]]]:
        """Rows `[id, text, label, labels, users]` in blocks, each with the columns of its ids and contents."""
        blocks = copied.blocks(copied.records(self._snapshot.parts[part]), TEXT_BLOCK)
        if not self._snapshot.features:
            for block in blocks:
                yield block, {"text_id": [row[0] for row in block], "text_data": [row[1] for row in block]}
            return
        of_them = self._snapshot.parts[f"{part}_vectors"]
        for block, vectors in zip(blocks, copied.vectors(of_them, len(self._names), TEXT_BLOCK), strict=True):
            if vectors.ids.tolist() != [row[0] for row in block]:
                raise copied.Malformed("the vectors are of other rows")
            yield block, self._columns(vectors)

    def _columns(self, vectors: copied.Vectors) -> dict[str, Any]:
        return {"text_id": vectors.ids} | dict(zip(self._names, vectors.columns, strict=True))

    def _votes(self, block: Sequence[Any]) -> dict[str, Sequence[Any]]:
        users = [[self._people.name(person) for person in row[4]] for row in block]
        return {"labels": [row[3] for row in block], "users": users}

    def _predict_vectors(self, model: Model, told: Told) -> None:
        part = self._snapshot.parts["vectors"]
        for block in copied.vectors(part, len(self._names), BLOCK):
            labels, confidence = model.predict(block.columns.T)
            self._add(self.machine, self._columns(block) | {"label": labels, "confidence": confidence})
            told(self._part(self.machine.rows))
        part.path.unlink()

    def _predict_texts(self, model: Model, told: Told) -> None:
        part = self._snapshot.parts["texts"]
        for block in copied.blocks(copied.records(part), TEXT_BLOCK):
            ids, texts = zip(*block, strict=True)
            labels, confidence = model.predict(texts)
            rows: dict[str, Any] = {"text_id": ids, "text_data": texts, "label": labels, "confidence": confidence}
            self._add(self.machine, rows)
            told(self._part(self.machine.rows))
        part.path.unlink()

    def _add(self, table: Table, block: dict[str, Any]) -> None:
        if self._stopped.is_set():
            raise Stopped
        table.add(block)

    def _part(self, rows: int) -> float:
        return min(1.0, rows / max(self._snapshot.expected, 1))

    def _told(self, told: Told, number: int, part: float) -> None:
        """Tell of a part of one table as a part of all, as far as they are known."""
        rows = [table.rows for table in self.all]
        told((sum(rows[:number]) + part * rows[number]) / max(sum(rows), 1))


def counts(tables: Tables) -> Iterator[tuple[str, int]]:
    """How many rows each has, by the words of the result."""
    yield "machine", tables.machine.rows
    yield "human", tables.human.rows
    yield "pending", tables.pending.rows
    yield "timestamps", tables.timestamps.rows
