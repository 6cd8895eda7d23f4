"""`dataset.archive`: a dataset version, or some pictures of it, in one zip archive.

Written while it is uploaded, some pictures ahead of the writer: nothing of it is ever whole in memory or on disk. The
same version gives the same bytes.
"""

import random
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from consumers.ahead import Ahead
from consumers.archive.reading import Reading
from consumers.archive.zipping import Member, archive
from consumers.datasets import labels
from consumers.datasets.formats import FORMATS, Picture
from consumers.datasets.formats import Member as File
from consumers.outcome import Done, JobError, Rejected
from consumers.ports import StreamingCuration
from schemas.datasets import SPLITS, DatasetArchive

AHEAD = 16
BLOCKS_AHEAD = 8
ZIP = "application/zip"
MOMENT = datetime(1980, 1, 1, tzinfo=UTC)
# Lists of pictures part at spaces, and file systems and shells have characters of their own.
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
MOST_LETTERS = 80
PACKED = (".jpg", ".jpeg", ".png")
Row = dict[str, Any]


def handle(params: DatasetArchive, workspace: StreamingCuration) -> Done:
    """Pack it. Raises Rejected(`version_gone`), and JobError(`not_built`) while a task of it is not built."""
    found = workspace.ask("version")
    rows = workspace.ask("archive_items")
    if not found or not rows:
        raise Rejected("version_gone", "The dataset version has been deleted.")
    if not all(row["built"] for row in rows):
        raise JobError("not_built", "A task of the dataset version is not built yet.")
    chosen = rows if params.sample is None else _sample(rows, params.sample)
    sample = "" if params.sample is None else "-sample"
    name = f"{found[0]['group_name']}-{found[0]['version']}-{params.format}{sample}.zip"
    writer = _whole if params.sample is None else _flat
    counts = {"pictures": len(chosen), "objects": sum(len(row["objects"]) for row in chosen)}
    about = {"dataset": found[0]["group_name"], "version": found[0]["version"], "format": params.format, **counts}
    files = writer(params, workspace, found[0], chosen)
    members = (Member(name, (data,), packed=name.endswith(PACKED)) for name, data in files)
    with Ahead(archive(members, MOMENT, lambda _: about), BLOCKS_AHEAD) as blocks:
        artifact = workspace.stream(name, Reading(blocks), ZIP)
    return Done(counts | {"format": params.format}, (artifact,))


def _whole(params: DatasetArchive, workspace: StreamingCuration, version: Row, rows: Sequence[Row]) -> Iterator[File]:
    """All members of the format."""
    form = FORMATS[params.format](version["classes"])
    for row, data in _pictures(workspace, rows):
        picture = Picture(row["split"], _name(row), row["width"], row["height"], row["objects"])
        yield form.place(picture), data
        yield from form.picture(picture)
    yield from form.finish()


def _flat(_: DatasetArchive, workspace: StreamingCuration, version: Row, rows: Sequence[Row]) -> Iterator[File]:
    """A sample for people to look at: pictures with their label texts, and the names of the classes."""
    for row, data in _pictures(workspace, rows):
        frame = f"{row['augmentation']}_{row['frame']}" if row["augmentation"] else row["frame"]
        stem = f"dataset_{version['group_name']}_{row['task_id']}_{row['frame']}_{frame}"
        yield f"{stem}.jpg", data
        yield f"{stem}.txt", labels.text(row["objects"], row["width"], row["height"])
    yield "classes.txt", "".join(f"{name}\n" for name in version["classes"]).encode()


def _pictures(workspace: StreamingCuration, rows: Sequence[Row]) -> Iterator[tuple[Row, bytes]]:
    """Rows with the bytes of their pictures, fetched a few ahead."""
    waiting, done = iter(rows), 0
    with ThreadPoolExecutor(8, thread_name_prefix="fetch") as pool:
        fetched = [(row, pool.submit(workspace.kept, row["image"])) for row in islice(waiting, AHEAD)]
        while fetched:
            row, future = fetched.pop(0)
            data = future.result()
            fetched += [(each, pool.submit(workspace.kept, each["image"])) for each in islice(waiting, 1)]
            yield row, data
            done += 1
            workspace.progress(99 * done / len(rows))


def _sample(rows: Sequence[Row], most: int) -> list[Row]:
    """Some pictures of each split, the same every time."""
    chosen: list[Row] = []
    for split in SPLITS:
        part = [row for row in rows if row["split"] == split]
        picked = random.Random(split).sample(range(len(part)), min(most, len(part)))  # noqa: S311 - reproducible
        chosen += [part[place] for place in sorted(picked)]
    return chosen


def _name(row: Row) -> str:
    """What people call the task, in letters that every tool takes, and its id: two tasks may have one name."""
    known = UNSAFE.sub("_", row["task"])[:MOST_LETTERS]
    stem = f"{known}-{str(row['task_id'])[:13]}-{row['frame']:06d}"
    return f"{stem}-{row['augmentation']}" if row["augmentation"] else stem
