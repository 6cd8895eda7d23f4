"""The only reader of the environment: one frozen value. A bad value stops the start with a sentence that names it."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.refusals import CannotStart
from schemas.registry import KINDS

MIB = 1024 * 1024


class ConfigurationError(CannotStart):
    """The environment does not describe a system that can start."""


class Settings(BaseSettings):
    """Every setting is `REELMILL_<NAME>` in the environment, or a file of that name in `/run/secrets`."""

    model_config = SettingsConfigDict(
        env_prefix="REELMILL_",
        frozen=True,
        secrets_dir="/run/secrets" if Path("/run/secrets").is_dir() else None,
    )

    database_url: SecretStr = Field(description="postgresql://user:password@host:port/name")
    amqp_url: SecretStr = Field(description="amqp://user:password@host:port/vhost")
    s3_endpoint: str = Field(description="http(s)://host:port of any S3-compatible store")
    s3_public_endpoint: str | None = Field(
        None, description="The same store as callers know it: in addresses for direct transfers. Default: as above."
    )
    s3_access_key: SecretStr
    s3_secret_key: SecretStr
    s3_bucket: str = Field("reelmill", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    s3_region: str = "us-east-1"

    http_host: str = "127.0.0.1"
    http_port: int = Field(8080, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(0, ge=0, le=65535, description="Health and metrics of this process; 0 picks a free port.")

    database_pool: int = Field(8, ge=1, le=200)
    body_limit: int = Field(1 * MIB, ge=1024, description="Bytes of a JSON body.")
    batch_limit: int = Field(16 * MIB, ge=1024, description="Bytes of a body with many jobs.")
    backlog_limit: int = Field(1_000_000, ge=1, description="With so many jobs waiting for a consumer, new ones must.")
    requests_per_second: float = Field(0, ge=0, description="Of each token; 0 is no limit.")
    auth_failures: int = Field(20, ge=1, description="Wrong credentials that one address may send in a minute.")
    upload_limit: int = Field(5 * 1024 * MIB, ge=1, description="Bytes of one uploaded file.")
    part_size: int = Field(8 * MIB, ge=5 * MIB, description="Bytes of one part of a multipart transfer to the store.")

    fast_prefetch: int = Field(
        500, ge=1, le=10_000, description="Messages that a consumer of the fast lane has in hand at a time."
    )
    lease_wait_seconds: float = Field(5, gt=0, le=60, description="How long a request about items may take.")
    fetch_seconds: float = Field(14 * 24 * 3600, gt=0, le=60 * 24 * 3600, description="Of a fetch task's lease.")
    slots: int = Field(1, ge=1, le=64, description="Jobs that one consumer process runs at a time.")
    device: str = Field("cpu", pattern=r"^(cpu|mps|cuda(:[0-9]{1,3})?)$", description="What networks run on.")
    device_locks: Path | None = Field(
        None, description="Folder of the files that say who uses a device, one for all processes of a host."
    )
    lease_seconds: float = Field(30, ge=1, description="A claim not renewed for so long is given to another consumer.")
    beat_seconds: float = Field(2, gt=0, description="How often claims are renewed and cancels are seen.")
    grace_seconds: float = Field(20, ge=0, description="After SIGTERM: how long running jobs may finish.")
    relay_tick_seconds: float = Field(0.5, gt=0)
    republish_seconds: float = Field(30, ge=1, description="A queued job whose queue is empty is published again.")
    event_days: float = Field(90, gt=0, description="Events are kept for so long, or until they have gone out.")
    webhook_private: bool = Field(False, description="Let webhooks go to private and loopback addresses.")
    retention_seconds: float = Field(90 * 24 * 3600, ge=0, description="Finished jobs are kept so long; 0 for ever.")
    retention_kinds: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict, description='JSON: the same for single kinds, as {"analyze.sleep": 86400}; 0 for ever.'
    )
    file_seconds: float = Field(0, ge=0, description="Uploads that no job reads are kept so long; 0 for ever.")
    storage_limit: int = Field(0, ge=0, description="Bytes in the store; above, the oldest results go. 0: no limit.")
    export_seconds: float = Field(30 * 24 * 3600, ge=0, description="Exports are kept so long; 0: like other jobs.")
    orphan_seconds: float = Field(24 * 3600, ge=60, description="Objects that no row names are removed after this age.")
    scratch: Path | None = Field(None, description="Folder for work files; the system's temporary folder by default.")
    log_format: str = Field("json", pattern="^(json|text)$")

    @field_validator("retention_kinds")
    @classmethod
    def _known(cls, kinds: dict[str, float]) -> dict[str, float]:
        unknown = set(kinds) - set(KINDS)
        if unknown:
            raise ValueError(f"there is no kind {min(unknown)}")
        return kinds

    @model_validator(mode="after")
    def _one_job_per_device(self) -> Self:
        if self.device != "cpu" and self.slots > 1:
            raise ValueError(f"REELMILL_SLOTS is 1 with REELMILL_DEVICE={self.device}: a device has one job at a time")
        return self


def read() -> Settings:
    """Read the environment. Raises ConfigurationError with one line per bad or missing variable."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(_explain(error)) from None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once."""
    return read()


def _explain(error: ValidationError) -> str:
    lines = [
        f"REELMILL_{str(e['loc'][0]).upper()}: {e['msg']}" if e["loc"] else e["msg"].removeprefix("Value error, ")
        for e in error.errors(include_input=False)
    ]
    return "The configuration is not usable:\n  " + "\n  ".join(lines)
