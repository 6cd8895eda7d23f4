"""Analyses of files. `analyze.sleep` is the smallest one: it proves that the path works."""

from pydantic import Field

from schemas.fields import FileReference, Strict

LONGEST_SLEEP = 3600


class Sleep(Strict):
    """Sleep for whole seconds, then write a CSV file with the number of seconds slept."""

    file: FileReference = Field(description="The file that the analysis belongs to.")
    time: int = Field(ge=0, le=LONGEST_SLEEP, description="Seconds to sleep.")
