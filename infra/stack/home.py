"""The folder that everything of one stack lives in: who holds it, and what it keeps from one start to the next."""

import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from infra.stack import private
from infra.stack.errors import StackError


def _secret() -> Callable[[], str]:
    return lambda: secrets.token_hex(16)


class Identity(BaseModel):
    """What makes the servers of a home its own: names and passwords made at the first start, ports of the last one."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(default_factory=lambda: secrets.token_hex(4))
    cookie: str = Field(default_factory=_secret())
    database_password: str = Field(default_factory=_secret())
    amqp_password: str = Field(default_factory=_secret())
    s3_access_key: str = Field(default_factory=_secret())
    s3_secret_key: str = Field(default_factory=_secret())
    s3_signing_key: str = Field(default_factory=_secret())
    ports: int | None = None


class Home:
    """A folder held by one process at a time. Its lock is the kernel's: it ends with the process that has it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    def hold(self) -> None:
        """Make the folder and take it. Raises StackError when a live process has it."""
        private.folder(self.path)
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode()
            os.close(lock)
            sentence = (
                f"{self.path} is in use by process {holder}: stop that one, or set REELMILL_HOME to another folder."
            )
            raise StackError(sentence) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def let_go(self) -> None:
        """Give the folder to whoever wants it next."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def identity(self) -> Identity:
        """Who this home is; made at the first call and kept."""
        file = self.path / "identity.json"
        try:
            return Identity.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return self.keep(Identity())

    def keep(self, identity: Identity) -> Identity:
        """Write `identity` for the next start, and return it."""
        private.write(self.path / "identity.json", identity.model_dump_json(indent=2))
        return identity
