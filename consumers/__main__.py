"""`python -m consumers <name>`: one consumer process, put together and run until it is told to stop."""

import argparse
import signal
import sys

from consumers.registry import work_of
from consumers.runtime.database import Database
from consumers.runtime.loop import Runtime
from infra import db, telemetry
from infra.probes import Probes
from infra.settings import ConfigurationError, Settings, read
from infra.storage import Storage
from infra.topology import queue_of
from schemas.registry import Consumer


def main() -> int:
    """Run the consumer that the command line names. SIGTERM and SIGINT stop it in order; a second one at once."""
    parser = argparse.ArgumentParser(prog="python -m consumers", description="Do one consumer's work.")
    parser.add_argument("consumer", choices=[consumer.value for consumer in Consumer])
    consumer = Consumer(parser.parse_args().consumer)
    try:
        settings = read()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    serve(settings, consumer)
    return 0


def serve(settings: Settings, consumer: Consumer) -> None:
    """Run one consumer until a signal stops it."""
    telemetry.configure(settings, consumer.value)
    engine = db.connect(settings.database_url.get_secret_value(), pool=2, application=f"reelmill-{consumer.value}")
    database = Database(engine)
    runtime = Runtime(settings, consumer.value, queue_of(consumer), work_of(consumer), database)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runtime.stop())
    checks = {
        "broker": lambda: runtime.intake.connected,
        "database": database.ready,
        "children": runtime.manned,
        "storage": Storage(settings, connections=1).ready,
    }
    try:
        with Probes(settings, runtime.alive, checks):
            runtime.run()
    finally:
        runtime.close()  # the interpreter would wait for children that live
        database.close()


if __name__ == "__main__":
    sys.exit(main())
