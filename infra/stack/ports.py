"""Which loopback ports a stack listens on. Two stacks never get the same ones, however they are started.

A stack takes 32 neighbouring ports, below the range from which the kernel gives ports to outgoing connections. It holds
the first of them bound for as long as it lives: binding is atomic, so the first port is the lock of the whole block.
"""

import secrets
import socket
import time
from dataclasses import dataclass
from enum import IntEnum

from infra.stack.errors import StackError

HOST = "127.0.0.1"
SIZE = 32
_BLOCKS = range(20_000, 32_000, SIZE)
# Children of a server that was killed hold its port for a moment longer.
LEFTOVERS_SECONDS = 5.0
GLANCE_SECONDS = 0.05


class Port(IntEnum):
    """The place of each listener in the block."""

    LOCK = 0
    POSTGRES = 1
    AMQP = 2
    DISTRIBUTION = 3
    EPMD = 4
    PROMETHEUS = 5
    MASTER = 6
    MASTER_GRPC = 7
    VOLUME = 8
    VOLUME_GRPC = 9
    FILER = 10
    FILER_GRPC = 11
    S3 = 12
    S3_GRPC = 13
    HTTP = 16
    METRICS = 17  # and all that follow: one for each process of the application


@dataclass(frozen=True)
class Block:
    """The ports of one stack, from `base` on."""

    base: int
    lock: socket.socket

    def __getitem__(self, port: Port) -> int:
        return self.base + port

    @property
    def metrics(self) -> range:
        """Ports for the health and metrics of the application's processes."""
        return range(self.base + Port.METRICS, self.base + SIZE)

    def release(self) -> None:
        """Let another stack have these ports."""
        self.lock.close()


def claim(preferred: int | None = None) -> Block:
    """Take a free block: the one that starts at `preferred` if it is free, so that a restarted stack keeps its address.

    Raises StackError when every block is taken.
    """
    if preferred is not None and preferred in _BLOCKS and (block := _take(preferred, LEFTOVERS_SECONDS)):
        return block
    for base in secrets.SystemRandom().sample(_BLOCKS, len(_BLOCKS)):
        if block := _take(base):
            return block
    raise StackError(f"No {SIZE} neighbouring ports are free on {HOST} between {_BLOCKS.start} and {_BLOCKS.stop}.")


def _take(base: int, patience: float = 0) -> Block | None:
    """The block, if no other stack has it and its ports are free, or become free within `patience` seconds."""
    lock = socket.socket()
    try:
        lock.bind((HOST, base))
        deadline = time.monotonic() + patience
        for port in range(base + 1, base + SIZE):
            while not _free(port):
                if time.monotonic() >= deadline:
                    raise OSError(f"somebody listens on port {port}")
                time.sleep(GLANCE_SECONDS)
    except OSError:
        lock.close()
        return None
    return Block(base, lock)


def _free(port: int) -> bool:
    """Whether nobody listens on `port`; what is left of closed connections does not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
