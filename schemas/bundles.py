"""Several orders about items in one message, one a line, and their answers in one reply.

A gateway that has many callers asks for all of them at once: a message costs the broker and both of its ends far more
than an order. A reply begins with a line that says the status and the length of each answer, in the order of the lines.
"""

from collections.abc import Sequence

import orjson

BUNDLE = "application/x-ndjson"
MOST_ORDERS = 500
MOST_BYTES = 1024 * 1024


def bundled(orders: Sequence[bytes]) -> bytes:
    """One message of these orders, each of which is JSON without line ends."""
    return b"\n".join(orders)


def orders_of(body: bytes) -> list[bytes]:
    """The orders in a message."""
    return body.split(b"\n")


def replied(answers: Sequence[tuple[int, bytes]]) -> bytes:
    """One reply of these answers: the status and the body of each."""
    head = orjson.dumps([(status, len(body)) for status, body in answers])
    return b"\n".join([head, b"".join(body for _, body in answers)])


def answers_of(reply: bytes) -> list[tuple[int, bytes]]:
    """The answers in a reply. Raises ValueError for anything else."""
    head, _, rest = reply.partition(b"\n")
    answers, start = [], 0
    for status, length in orjson.loads(head):
        answers.append((int(status), rest[start : start + length]))
        start += length
    return answers
