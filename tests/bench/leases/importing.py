"""The import of a segment list in AudioSet's shape, against psql's own copy of it; the same file again; the memory."""

import argparse
import time
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from tests.bench.export import peak
from tests.bench.leases.site import Site
from tests.bench.table import table, verdict

COPY_FLOOR, AGAIN_FLOOR = 0.12, 2.0
HEAD = "# YTID, start_seconds, end_seconds, positive_labels\n"
LABELS = ('"/m/09x0r,/t/dd00088"', '"/m/02_41"', '"/m/04rlf,/m/0z9c,/m/0395lw"')
DUPLICATES = 20


def report(site: Site, asked: argparse.Namespace) -> str:
    """Rows a second; of copies and first imports, in turn, the medians."""
    rows, memory = [], []
    for number in (asked.items // 10, asked.items):
        path = _file(site.house.system.folder / f"unbalanced_train_segments-{number}.csv", number)
        distinct = number - number // DUPLICATES
        rounds = [_round(site, f"import-{number}-{turn}", path, number) for turn in range(asked.rounds)]
        copied, imported, ratio = (median(each) for each in zip(*rounds, strict=True))
        name = f"import-{number}-{asked.rounds - 1}"
        again = _import(site, name, path)
        memory.append(_memory(site))
        with path.open("a") as sink:
            sink.write('one more, 0.000, 10.000, "/m/09x0r"\n')
        more = _import(site, name, path)
        assert (more[1]["inserted"], more[1]["unchanged"]) == (1, distinct), more[1]
        moved = _set_states(site, name, path, number // 2)
        assert again[1]["unchanged"] == distinct, again[1]
        rows += [
            [f"psql \\copy, {number:,}", f"{copied:,.0f}", "1", "", ""],
            [f"import, {number:,}", f"{imported:,.0f}", verdict(ratio, COPY_FLOOR), "", memory[-1]],
            [f"states of {number // 2:,} by a file", f"{moved:,.0f}", "", "", ""],
            [f"the same file again, {number:,}", f"{again[0]:,.0f}", "", verdict(again[0] / imported, AGAIN_FLOOR), ""],
            [f"with one line more, {number:,}", f"{more[0]:,.0f}", "", f"{more[0] / imported:.2f}", ""],
        ]
    return table(["", "rows/s", "to \\copy", "to the first import", "peak MB (keeper + child)"], rows)


def _round(site: Site, name: str, path: Path, number: int) -> tuple[float, float, float]:
    """Rows a second of psql's copy, of an import just behind it, and their ratio."""
    begin = time.perf_counter()
    site.rival.copy(path)
    copied = number / (time.perf_counter() - begin)
    imported, result = _import(site, name, path)
    assert result["inserted"] == number - number // DUPLICATES, result
    return copied, imported, imported / copied


def _file(path: Path, rows: int) -> Path:
    """One row in twenty is there before."""
    distinct = rows - rows // DUPLICATES
    with path.open("w") as sink:
        sink.write(HEAD)
        for n in range(rows):
            m = n % distinct
            sink.write(f"{m * 2654435761 % 2**32:08x}{m:03d}, {m % 600}.000, {m % 600 + 10}.000, {LABELS[m % 3]}\n")
    return path


def _import(site: Site, collection: str, path: Path) -> tuple[float, dict[str, Any]]:
    """Rows a second from the request to the end of the job, and its result."""
    site.house.system.http.put(f"/v1/collections/{collection}", json={})
    seconds, result = _job(site, "items.import", path, collection=collection)
    return result["lines"] / seconds, result


def _set_states(site: Site, collection: str, path: Path, number: int) -> float:
    """Items a second that a file of their keys completes."""
    keys = path.with_suffix(".txt")
    with path.open() as source, keys.open("w") as sink:
        sink.writelines(islice(source, 1, number + 1))
    seconds, result = _job(site, "items.set_state", keys, collection=collection, state="completed")
    assert result["updated"] == number, result
    return number / seconds


def _job(site: Site, kind: str, path: Path, **params: Any) -> tuple[float, dict[str, Any]]:
    """Seconds that a job about a file takes, its upload not counted; and its result."""
    system = site.house.system
    with path.open("rb") as source, httpx.Client(base_url=system.url, headers=system.http.headers, timeout=300) as http:
        file = http.post("/v1/files", params={"name": path.name}, content=source).json()["sha256"]
    begin = time.perf_counter()
    job = system.submit(kind, {"file": file} | params)
    done = system.until_state(job, "succeeded", "failed", "cancelled", patience=600)
    seconds = time.perf_counter() - begin
    assert done["state"] == "succeeded", done
    return seconds, dict(done["result"])


def _memory(site: Site) -> str:
    system = site.house.system
    pids = [system.processes["keeper"].pid, *(child.pid for child in system.children("keeper"))]
    return " + ".join(f"{peak(pid):.0f}" for pid in pids)
