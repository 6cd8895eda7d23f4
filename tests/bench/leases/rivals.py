"""The usual ways to hand out rows, run by pgbench on the same server: SKIP LOCKED on a partial index, a random sort."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from infra.stack.postgres import programs

TABLE = """
drop table if exists rival;
create table rival (
    id bigint primary key, key text, attributes json, rnd double precision, state smallint not null default 0,
    worker text, lease_until timestamptz
);
insert into rival select n, 'k' || n, '{"start_seconds":"30.000","end_seconds":"40.000",'
    '"positive_labels":"/m/09x0r,/t/dd00088"}', random() from generate_series(1, %s) n;
create index rival_open on rival (rnd) where state = 0;
create index rival_open_in_order on rival (id) where state = 0;
"""
TAKE = """
with taken as (
    select id from rival where state = 0 order by {order} limit {count} for update skip locked
)
update rival r set state = 1, worker = cast(:client_id as text), lease_until = now() + interval '1 hour'
from taken where r.id = taken.id returning r.key, r.attributes;
"""
RANDOM = """
select id from rival where state = 0 order by random() limit 1 \\gset
update rival set state = 1, worker = cast(:client_id as text) where id = :id;
"""
WAYS: Mapping[str, str] = {
    "SKIP LOCKED, random order": TAKE.replace("{order}", "rnd"),
    "SKIP LOCKED, in order": TAKE.replace("{order}", "id"),
    "order by random()": RANDOM,
}


class Rival:
    """A table with one row per item, which clients of pgbench update."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = urlsplit(url)
        self._folder = folder

    def fill(self, items: int) -> None:
        """A fresh table with so many items to take."""
        self._psql(TABLE % items)
        self._psql("vacuum (analyze) rival")

    def rate(self, way: str, clients: int, count: int, seconds: int) -> float:
        """Items a second."""
        script = self._folder / "rival.sql"
        script.write_text(WAYS[way].replace("{count}", str(count)))
        threads = min(clients, os.cpu_count() or 1)
        told = self._run(
            "pgbench",
            *("--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--jobs={threads}"),
            *(f"--time={seconds}", f"--file={script}"),
        )
        found = re.search(r"^tps = ([0-9.]+)", told, re.MULTILINE)
        assert found is not None, told
        return float(found[1]) * count

    def copy(self, path: Path) -> None:
        """The limit of an import: psql's own copy of the file into a table without any index."""
        self._psql("drop table if exists bare", "create table bare (ytid text, start text, stop text, labels text)")
        self._psql(f"\\copy bare from '{path}' (format csv, header true)")

    def _psql(self, *statements: str) -> None:
        self._run("psql", "--no-psqlrc", "--quiet", *(f"--command={each}" for each in statements))

    def _run(self, program: str, *arguments: str) -> str:
        url = self._url
        there = {"PGHOST": url.hostname, "PGPORT": str(url.port), "PGUSER": url.username, "PGPASSWORD": url.password}
        database = {"PGDATABASE": url.path.removeprefix("/")}
        environment = os.environ | {name: value for name, value in (there | database).items() if value is not None}
        done = subprocess.run(
            [programs() / program, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout
