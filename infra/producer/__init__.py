"""A producer for programs in Python: many jobs to the broker, fast, and each with a word on what became of it.

    with Producer("amqp://user:password@host/vhost") as producer:
        futures = [producer.send("probe.echo", {"text": str(n)}) for n in range(10_000)]
    ids = [future.result() for future in futures]

Needs nothing of the system but its broker: no database, no settings.
"""

from infra.producer.fates import Lost, Refused, Returned, Unsent
from infra.producer.producer import Producer

__all__ = ["Lost", "Producer", "Refused", "Returned", "Unsent"]
