"""A consumer that lives and hears nothing: its liveness says so, and is well again when it hears."""

from contextlib import closing

import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from consumers.runtime import loop
from infra.settings import Settings
from infra.stack import Stack
from tests.broker import declare
from tests.desk import Desk
from tests.driven import LIMITS, Driven


@pytest.mark.row("X-13")
def test_a_deaf_consumer_is_not_alive(
    settings: Settings, database: Engine, stack: Stack, vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = settings.amqp_url.get_secret_value()
    user = str(make_url(url).username)
    declare(settings)
    monkeypatch.setattr(loop, "SILENT_SECONDS", 2.0)
    with closing(Driven(Desk(settings, database), settings, LIMITS)) as driven:
        driven.until(lambda: driven.runtime.intake.connected, "it is connected")
        stack.rabbitmqctl("set_permissions", "--vhost", vhost, user, ".*", ".*", "")
        stack.rabbitmqctl("close_all_connections", "--vhost", vhost, "a test")
        driven.until(lambda: not driven.runtime.alive(), "it is found to be deaf")
        stack.rabbitmqctl("set_permissions", "--vhost", vhost, user, ".*", ".*", ".*")
        driven.until(driven.runtime.alive, "it hears again")
        assert driven.end(driven.ask("behave"))["state"] == "succeeded"
