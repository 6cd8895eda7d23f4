"""Consuming from RabbitMQ: the only room that imports kombu and py-amqp. A connection that consumes never publishes."""

from infra.broker.connection import BrokerAway
from infra.broker.declaration import declare
from infra.broker.delivery import Delivery
from infra.broker.intake import Intake
from infra.broker.parking import Unparkable, park, park_all
from infra.broker.properties import UNREADABLE

__all__ = ["UNREADABLE", "BrokerAway", "Delivery", "Intake", "Unparkable", "declare", "park", "park_all"]
