"""The network between the processes and their servers, so that it can be cut: nothing passes any more."""

import asyncio
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

CHUNK = 64 * 1024
SERVERS = ("REELMILL_DATABASE_URL", "REELMILL_AMQP_URL", "REELMILL_S3_ENDPOINT")


class Wires:
    """A relay of bytes in front of each server. Leave the `with` block to take them away."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wires", daemon=True)
        self._whole = asyncio.Event()
        self._ends: set[asyncio.StreamWriter] = set()
        self._servers: list[asyncio.Server] = []
        self.environment: dict[str, str] = {}
        """The variables by which processes reach their servers over these wires."""

    def __enter__(self) -> "Wires":
        self._thread.start()
        self._loop.call_soon_threadsafe(self._whole.set)
        for name in SERVERS:
            address = self._environment[name]
            port = asyncio.run_coroutine_threadsafe(self._lay(address), self._loop).result()
            self.environment[name] = address.replace(f":{urlsplit(address).port}", f":{port}", 1)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Every connection breaks off; whoever connects anew hears nothing."""
        self._loop.call_soon_threadsafe(self._whole.clear)
        self._loop.call_soon_threadsafe(self._break)

    def mend(self) -> None:
        """Whoever waited finds his connection closed, and may try again."""
        self._loop.call_soon_threadsafe(self._whole.set)

    async def _end(self) -> None:
        """Take the servers away, and let every connection end."""
        for server in self._servers:
            server.close()
        self._whole.set()
        self._break()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            await asyncio.wait(rest, timeout=5)

    async def _lay(self, address: str) -> int:
        parts = urlsplit(address)
        assert parts.hostname is not None

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._carry(reader, writer, str(parts.hostname), int(parts.port or 0))

        server = await asyncio.start_server(carry, "127.0.0.1", 0, family=socket.AF_INET)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
        if not self._whole.is_set():
            await self._whole.wait()
            writer.transport.abort()
            return
        try:
            answers, onward = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        self._ends |= {writer, onward}
        await asyncio.gather(_pump(reader, onward), _pump(answers, writer))
        self._ends -= {writer, onward}

    def _break(self) -> None:
        for end in self._ends:
            end.transport.abort()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(CHUNK):
            target.write(data)
            await target.drain()
    target.close()
