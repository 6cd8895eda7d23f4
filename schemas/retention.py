"""Bodies about clean-up: what may go, and what went."""

from pydantic import BaseModel, Field

from schemas.fields import Strict

LONGEST = 100 * 365 * 86400.0


class CleanUp(Strict):
    """Terms other than those of the settings, in seconds; 0 keeps for ever."""

    dry_run: bool = Field(False, description="Only say what would go.")
    job_seconds: float | None = Field(None, ge=0, le=LONGEST, description="Finished jobs with all that they made.")
    kinds: dict[str, float] | None = Field(None, description="The same for single kinds.")
    file_seconds: float | None = Field(None, ge=0, le=LONGEST, description="Uploads that no job has read for so long.")
    storage_limit: int | None = Field(None, ge=0, le=2**62, description="Bytes; above, the oldest results go. 0: none.")


class CleanedUp(BaseModel):
    """What went, or would go. Objects leave the store within seconds after that."""

    dry_run: bool
    jobs: int
    files: int
    bytes: int = Field(description="In the store, of content that nobody else names.")
    more: bool = Field(description="There is more to go than was looked at: ask again.")
    stored_bytes: int = Field(description="Kept at the moment.")
    job_seconds: float
    kinds: dict[str, float]
    file_seconds: float
    storage_limit: int
