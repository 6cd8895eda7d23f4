"""Producers at the broker: a user of their own who can publish the kinds that he is trusted with, and do nothing else.

Topic permissions bound the routing key, which is the kind. The default exchange, by which one writes to any queue, is
not among what he may write to. Nothing can be declared, bound or read. Pure: operators run the commands.
"""

import re
import shlex
from collections.abc import Iterable

from infra.topology import JOBS
from schemas.registry import KINDS

NOTHING = "^$"


def commands(name: str, kinds: Iterable[str], vhost: str = "/") -> list[list[str]]:
    """The arguments of `rabbitmqctl` that make this user of these kinds, whose password exists already.

    Raises ValueError for a kind that there is not.
    """
    wanted = sorted(set(kinds))
    unknown = [kind for kind in wanted if kind not in KINDS]
    if unknown or not wanted:
        raise ValueError(f"choose from {', '.join(sorted(KINDS))}")
    allowed = "^(" + "|".join(re.escape(kind) for kind in wanted) + ")$"
    return [
        ["set_permissions", "--vhost", vhost, name, NOTHING, f"^{re.escape(JOBS)}$", NOTHING],
        ["set_topic_permissions", "--vhost", vhost, name, JOBS, allowed, NOTHING],
    ]


def script(name: str, kinds: Iterable[str], vhost: str = "/") -> str:
    """The same as lines for a shell. The password is asked for, so that it is in no history."""
    lines = [["rabbitmqctl", "add_user", name], *(["rabbitmqctl", *each] for each in commands(name, kinds, vhost))]
    return "\n".join(shlex.join(line) for line in lines)
