"""Times that come again and again: five fields of cron in a time zone.

As in Debian's cron: what a change of the clock leaves out runs right after it, and what it repeats runs once; only
what runs every hour or oftener follows the clock itself.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

FIELDS = 5


class BadCronError(ValueError):
    """Not an expression, not a time zone, or never. `field` is the one that is wrong, the message says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Cron:
    """An expression such as `0 6 * * 1-5` in a time zone such as `Europe/Berlin`."""

    expression: str
    timezone: str

    def after(self, moment: datetime) -> datetime:
        """The first time after a moment, in UTC. Raises BadCronError."""
        if len(self.expression.split()) != FIELDS:
            raise BadCronError("cron", "A cron expression has five fields: minute, hour, day, month, weekday.")
        try:
            found = next(CronSim(self.expression, moment.astimezone(self._zone())), None)
        except CronSimError as error:
            raise BadCronError("cron", f"Not a cron expression: {str(error)[:1].lower()}{str(error)[1:]}.") from None
        if found is None:
            raise BadCronError("cron", "That time never comes.")
        return found.astimezone(UTC)

    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise BadCronError("timezone", "There is no such time zone; one is Europe/Berlin.") from None
