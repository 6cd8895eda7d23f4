"""Where the servers of a home are: one value, kept in `endpoints.json` of the home while they run.

Whoever can read the file can use the servers: it is written with mode 0600 and removed when the stack stops.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from infra.stack import private

FILE = "endpoints.json"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class ObjectStore(_Value):
    """An S3 store. `endpoint` is `http://host:port`."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str = "reelmill"


class BrokerNode(_Value):
    """What it takes to run `rabbitmqctl` on the private node: its name, the folder with its cookie, its epmd."""

    name: str
    home: str
    epmd_port: int


class Endpoints(_Value):
    """Everything that listens. `http`, `metrics` and `token` belong to the application and are set once it runs."""

    database: str
    amqp: str
    s3: ObjectStore
    rabbitmq: BrokerNode
    http: str | None = None
    token: str | None = None
    metrics: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        """The variables that lead a process of the product to these servers."""
        return {
            "REELMILL_DATABASE_URL": self.database,
            "REELMILL_AMQP_URL": self.amqp,
            "REELMILL_S3_ENDPOINT": self.s3.endpoint,
            "REELMILL_S3_ACCESS_KEY": self.s3.access_key,
            "REELMILL_S3_SECRET_KEY": self.s3.secret_key,
            "REELMILL_S3_BUCKET": self.s3.bucket,
        }

    def with_application(self, http: str, token: str, metrics: dict[str, str]) -> "Endpoints":
        """The same servers, with the application that runs on them. `metrics` maps process names to URLs."""
        return self.model_copy(update={"http": http, "token": token, "metrics": self.metrics | metrics})

    def write(self, home: Path) -> None:
        """Tell it to everybody who may read the home."""
        private.write(home / FILE, self.model_dump_json(indent=2))


def read(home: Path) -> Endpoints | None:
    """What runs in `home`, or None when nothing does."""
    try:
        return Endpoints.model_validate_json((home / FILE).read_bytes())
    except FileNotFoundError:
        return None


def remove(home: Path) -> None:
    """Nothing runs in `home` any more."""
    (home / FILE).unlink(missing_ok=True)
