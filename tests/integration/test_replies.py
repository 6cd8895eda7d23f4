"""Whether somebody is there to hear an answer, on a real broker."""

from typing import Any

import pika

from infra.broker.replies import Replies
from infra.settings import Settings
from tests.broker import parameters
from tests.system import until


def test_whoever_waits_is_seen_whatever_he_waits_at(settings: Settings) -> None:
    url = settings.amqp_url.get_secret_value()
    replies = Replies(url)
    until(replies.turn, "it is connected")
    wire: Any = replies._wire
    with pika.BlockingConnection(parameters(url)) as connection:
        channel = connection.channel()
        own = channel.queue_declare("", exclusive=True).method.queue
        shared = channel.queue_declare("shared").method.queue
        for _ in range(3):
            assert replies.heard(own)
            assert replies.heard(shared)
            assert not replies.heard("nobody's")
    until(lambda: not replies.heard(own), "it went with its connection")
    assert replies._wire is wire, "nothing of that breaks the connection"
    replies.close()
