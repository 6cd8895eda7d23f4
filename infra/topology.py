"""Exchanges, queues and bindings, as data. Everything here is legal on RabbitMQ 3.10 and on 4.x.

Durable quorum queues only, each with a delivery limit of its own: a positive one, as a fuse against crash loops
(attempts are counted in Postgres), or 0 for queues of items, of which every return is counted. No `x-max-priority`, no
transient queues that are not exclusive.
"""

from dataclasses import dataclass, field

from schemas.registry import Consumer, kinds_of

JOBS = "reelmill.jobs"
EVENTS = "reelmill.events"
DEAD = "reelmill.dead"
UNROUTABLE = "reelmill.unroutable"
#: Where the old API asked for exports: `clf-7`.
OLD_EXPORTS = "dl_manager"
LEASES = "reelmill.leases"
DELIVERY_LIMIT = 20
# A policy may lower it: the lower one counts. What a full queue refuses stays in its row.
LONGEST_QUEUE = 1_000_000
# Whoever looks at a parked message and puts it back delivers it. From 4.0 on a queue without a limit of its own drops a
# message after 20 looks, and not every version reads a negative number as no limit.
PARKING_LIMIT = 1_000_000_000


@dataclass(frozen=True)
class Exchange:
    """A durable exchange."""

    name: str
    type: str
    arguments: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Queue:
    """A durable queue and the routing keys that lead to it, all from one exchange."""

    name: str
    exchange: str
    keys: tuple[str, ...]
    arguments: dict[str, str | int] = field(default_factory=dict)


EXCHANGES = (
    Exchange(JOBS, "topic", {"alternate-exchange": UNROUTABLE}),
    Exchange(EVENTS, "topic"),
    Exchange(DEAD, "fanout"),
    Exchange(UNROUTABLE, "fanout"),
)


def queue_of(consumer: Consumer) -> str:
    """The name of a consumer's queue."""
    return f"reelmill.{consumer.value}"


def _work(consumer: Consumer) -> Queue:
    return Queue(
        name=queue_of(consumer),
        exchange=JOBS,
        keys=tuple(kind.name for kind in kinds_of(consumer)),
        arguments={
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": DEAD,
            # At-least-once dead-lettering needs reject-publish; a full queue refuses rather than drops its oldest.
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
            "x-max-length": LONGEST_QUEUE,
            "x-delivery-limit": DELIVERY_LIMIT,
        },
    )


def _parking(name: str) -> Queue:
    return Queue(name, name, ("",), {"x-queue-type": "quorum", "x-delivery-limit": PARKING_LIMIT})


def _forwarding(name: str, key: str) -> Queue:
    """A queue of old, to which producers still publish without an exchange: what comes goes on at once under a key."""
    return Queue(
        name,
        JOBS,
        (),
        {
            "x-queue-type": "quorum",
            "x-message-ttl": 0,
            "x-dead-letter-exchange": JOBS,
            "x-dead-letter-routing-key": key,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
            "x-max-length": LONGEST_QUEUE,
            "x-delivery-limit": DELIVERY_LIMIT,
        },
    )


# Questions about items. Each lives as long as somebody waits for its answer, so what expires is nobody's loss and goes
# nowhere. Asked through the default exchange.
_LEASES = Queue(
    LEASES,
    "",
    (),
    {
        "x-queue-type": "quorum",
        "x-overflow": "reject-publish",
        "x-max-length": LONGEST_QUEUE,
        "x-delivery-limit": DELIVERY_LIMIT,
    },
)

ITEMS_PREFIX = "reelmill.items."


def items_queue(collection: str) -> Queue:
    """Where items of a collection lie for those who do not ask for them.

    What a consumer does not acknowledge comes back to the dispatcher, not to the queue: it counts an attempt, and what
    is put into the queue again says so. What expires here goes the same way.
    """
    return Queue(
        f"{ITEMS_PREFIX}{collection}",
        "",
        (),
        {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": LEASES,
            "x-delivery-limit": 0,
            "x-max-length": LONGEST_QUEUE,
            "x-overflow": "reject-publish",
        },
    )


QUEUES = (
    *(_work(consumer) for consumer in Consumer),
    _LEASES,
    _forwarding(OLD_EXPORTS, "export.labels"),
    _parking(DEAD),
    _parking(UNROUTABLE),
)
