"""`python -m consumers <name>`: one consumer process, put together and run until it is told to stop."""

import argparse
import signal
import sys

from consumers.registry import lane_of, work_of
from consumers.runtime.database import Database
from consumers.runtime.dispatching import DispatcherRuntime
from consumers.runtime.loop import Runtime
from infra import db, telemetry
from infra.probes import Check, Probes
from infra.refusals import CannotStart
from infra.settings import Settings, read
from infra.storage import Storage
from infra.topology import queue_of
from schemas.registry import Consumer, Lane


def main() -> int:
    """Run the consumer that the command line names. SIGTERM and SIGINT stop it in order; a second one at once."""
    parser = argparse.ArgumentParser(prog="python -m consumers", description="Do one consumer's work.")
    parser.add_argument("consumer", choices=[consumer.value for consumer in Consumer])
    consumer = Consumer(parser.parse_args().consumer)
    try:
        serve(read(), consumer)
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def serve(settings: Settings, consumer: Consumer) -> None:
    """Run one consumer until a signal stops it."""
    telemetry.configure(settings, consumer.value)
    engine = db.connect(settings.database_url.get_secret_value(), pool=2, application=f"reelmill-{consumer.value}")
    database = Database(engine)
    runtime, checks = _put_together(settings, consumer, database)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runtime.stop())
    try:
        with Probes(settings, runtime.alive, checks):
            runtime.run()
    finally:
        runtime.close()  # the interpreter would wait for children that live
        database.close()


def _put_together(
    settings: Settings, consumer: Consumer, database: Database
) -> tuple[Runtime | DispatcherRuntime, dict[str, Check]]:
    """The runtime of the lane that the consumer's kinds have, and what has to work for it to be ready."""
    work = work_of(consumer)
    given = (settings, consumer.value, queue_of(consumer), work, database)
    if lane_of(work) is Lane.FAST:
        dispatcher = DispatcherRuntime(*given)
        return dispatcher, {"broker": dispatcher.connected, "database": database.ready}
    leased = Runtime(*given)
    return leased, {
        "broker": lambda: leased.intake.connected,
        "database": database.ready,
        "children": leased.manned,
        "storage": Storage(settings, connections=1).ready,
    }


if __name__ == "__main__":
    sys.exit(main())
