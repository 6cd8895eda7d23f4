"""Real servers without Docker: Postgres, RabbitMQ and an S3 store that belong to one folder, for development and tests.

Nothing here is needed where servers are given: every process of the product is told where they are by its environment.
"""

from infra.stack.endpoints import Endpoints
from infra.stack.errors import StackError
from infra.stack.processes import Process, Program
from infra.stack.stack import Stack

__all__ = ["Endpoints", "Process", "Program", "Stack", "StackError"]
