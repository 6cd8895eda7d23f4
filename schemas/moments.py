"""Times that callers give: always in UTC, and in years that every part of the system can store and read back."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

EARLIEST, LATEST = 1970, 2199
MEANT = f"a time lies between the years {EARLIEST} and {LATEST}"


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC; without a zone it is UTC already. Raises ValueError outside the years."""
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(MEANT) from None
    if not EARLIEST <= moment.year <= LATEST:
        raise ValueError(MEANT)
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
