"""One completion row per job, for peers that keep no record of their own: durable, one transaction each."""

import threading

import psycopg2

from tests.bench.peers.addresses import DATABASE

TABLE = "create table if not exists completions (id text primary key, finished_at timestamptz not null default now())"
INSERT = "insert into completions (id) values (%s) on conflict do nothing"

_local = threading.local()


def complete(job_id: str) -> None:
    """Write a job's row and commit it, on this thread's connection."""
    connection = getattr(_local, "connection", None)
    if connection is None:
        connection = _local.connection = psycopg2.connect(DATABASE)
        connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(INSERT, (job_id,))
