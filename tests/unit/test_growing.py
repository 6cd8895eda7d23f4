"""Files that are read while they are written: nobody misses a byte, and nobody waits for a writer that has failed."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from consumers.exporter import copied
from consumers.growing import BUFFER, Growing
from tests.system import PATIENCE


def test_readers_see_all_of_it_while_it_grows(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(5 * BUFFER + 7)
    file, seen = Growing(tmp_path / "file"), Event()

    def whole(size: int) -> bytes:
        pieces = []
        with file.open() as source:
            while piece := source.read(size):
                pieces.append(piece)
                seen.set()
        assert [len(piece) for piece in pieces[:-1]] == [size] * (len(pieces) - 1)
        return b"".join(pieces)

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(whole, size) for size in (1000, BUFFER // 3, 2 * BUFFER)]
        file.sink.write(data[: 2 * BUFFER])
        assert seen.wait(PATIENCE)  # before the end
        for start in range(2 * BUFFER, len(data), 4099):
            file.sink.write(data[start : start + 4099])
        file.end()
        assert all(reader.result(PATIENCE) == data for reader in readers)
    assert b"".join(file.chunks()) == data
    assert not file.path.exists()


def test_a_writer_that_fails_fails_its_readers(tmp_path: Path) -> None:
    file = Growing(tmp_path / "file")
    with ThreadPoolExecutor(1) as pool, file.open() as source:
        waiting = pool.submit(source.read, 10)
        file.sink.write(b"some")
        file.end(OSError("no more"))
        file.end()  # the first word counts
        with pytest.raises(OSError, match="no more"):
            waiting.result(PATIENCE)


@pytest.mark.parametrize(
    ("cut", "added"), [(slice(None), b"x"), (slice(-2), b""), (slice(-3), b""), (slice(18), b""), (slice(0), b"")]
)
def test_rows_that_are_cut_off_are_not_taken_for_all(tmp_path: Path, cut: slice, added: bytes) -> None:
    row = copied._row(3)
    rows = np.zeros(1000, row)
    for name, value in (("fields", 2), ("id", np.arange(1000)), ("type", copied.FLOAT8), ("length", 3)):
        rows[name] = value
    rows["items"]["value"] = np.arange(3000).reshape(1000, 3)
    data = copied.SIGNATURE + rows.tobytes() + copied.END

    def read(data: bytes, size: int) -> list[copied.Vectors]:
        file = Growing(tmp_path / "file")
        file.sink.write(data)
        file.end()
        return list(copied.vectors(file, 3, size))

    for size in (1, 999, 1000, 1001):
        blocks = read(data, size)
        assert np.concatenate([block.ids for block in blocks]).tolist() == list(range(1000))
        assert np.concatenate([block.columns.T for block in blocks]).ravel().tolist() == list(range(3000))
        with pytest.raises(copied.Malformed):
            read(data[cut] + added, size)
