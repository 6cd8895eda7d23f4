"""What the exit code says."""

from enum import IntEnum


class Exit(IntEnum):
    """Fixed: scripts depend on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    DENIED = 4
    CONFLICT = 5
    JOB_FAILED = 6
    TIMEOUT = 7


OF_STATUS = {
    400: Exit.USAGE,
    401: Exit.DENIED,
    403: Exit.DENIED,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    410: Exit.NOT_FOUND,
}
