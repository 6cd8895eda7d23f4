"""Where a peer's servers are; the bench says it in the environment."""

import os

DATABASE = os.environ["BENCH_DATABASE_URL"]
AMQP = os.environ["BENCH_AMQP_URL"]
