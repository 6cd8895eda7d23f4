"""A producer of its own at the broker: it publishes its kinds, as itself, and can do nothing else."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from infra import producers
from infra.settings import Settings
from infra.stack import Stack
from infra.topology import EVENTS, JOBS, queue_of
from schemas.registry import KINDS, Consumer
from tests.broker import declare, parameters
from tests.desk import Desk
from tests.system import System

NAME = "camera-7"
SECRET = "of-camera-7"


@pytest.fixture
def allowed(stack: Stack, settings: Settings) -> pika.URLParameters:
    """A user who may ask for sleeps."""
    url = make_url(settings.amqp_url.get_secret_value())
    declare(settings)
    stack.rabbitmqctl("add_user", NAME, SECRET)
    for command in producers.commands(NAME, ["analyze.sleep"], str(url.database)):
        stack.rabbitmqctl(*command)
    theirs = url.set(username=NAME, password=SECRET)
    return parameters(theirs.render_as_string(hide_password=False))


@pytest.mark.row("X-01")
def test_a_producer_publishes_its_kinds_and_nothing_else(
    system: System, settings: Settings, database: Engine, allowed: pika.URLParameters
) -> None:
    desk = Desk(settings, database)
    file = desk.file()
    job = uuid4()
    with pika.BlockingConnection(allowed) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        mine = pika.BasicProperties(message_id=str(job), user_id=NAME)
        body = b'{"file": "%s", "time": 0}' % file.encode()
        channel.basic_publish(JOBS, "analyze.sleep", body, mine)
        work = queue_of(Consumer.ANALYZER)
        refused: list[Callable[[Any], Any]] = [
            *(lambda at, kind=kind: at.basic_publish(JOBS, kind, b"{}") for kind in KINDS if kind != "analyze.sleep"),
            lambda at: at.basic_publish("", work, b"{}"),
            lambda at: at.basic_publish(EVENTS, "job.done", b"{}"),
            lambda at: at.basic_get(work),
            lambda at: at.queue_purge(work),
            lambda at: at.queue_declare("mine"),
            lambda at: at.queue_delete(work),
            lambda at: at.exchange_delete(JOBS),
        ]
        for attempt in refused:
            channel = connection.channel()
            channel.confirm_delivery()
            with pytest.raises(ChannelClosedByBroker) as refusal:
                attempt(channel)
            assert refusal.value.reply_code == 403
    system.start("analyzer")
    assert desk.until(job, "succeeded")["submitted_by"] == f"amqp:{NAME}"
    assert [row["id"] for row in desk.jobs()] == [job]
