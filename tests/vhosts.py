"""Virtual hosts of RabbitMQ for tests, each of one's own."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import make_url

from infra.stack import Stack

AT_ONCE = 20
MAKE = """begin
    Name = list_to_binary("test-" ++ integer_to_list(N)),
    rabbit_vhost:add(Name, <<"test">>),
    rabbit_auth_backend_internal:set_permissions(
        <<"{user}">>, Name, <<".*">>, <<".*">>, <<".*">>, <<"test">>)
end"""
# What is gone already is no error: the broker may have finished what we have not waited for.
DELETE = '(catch rabbit_vhost:delete(<<"{name}">>, <<"test">>))'


class Vhosts:
    """Fresh ones without end, made by the dozen.

    Those that are done with go before others are made: each one more makes the next slower to make, and the broker
    slower to start.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._user = make_url(stack.endpoints.amqp).username
        self._made = 0
        self._fresh: list[str] = []
        self._done: list[str] = []

    @contextmanager
    def one(self) -> Iterator[str]:
        """One of them, for as long as it is needed."""
        if not self._fresh:
            self._replace()
        name = self._fresh.pop()
        try:
            yield name
        finally:
            self._done.append(name)

    def _replace(self) -> None:
        numbers = range(self._made, self._made + AT_ONCE)
        deleted = ", ".join(DELETE.format(name=name) for name in self._done)
        made = f"[{MAKE.format(user=self._user)} || N <- lists:seq({numbers[0]}, {numbers[-1]})]"
        self._made += AT_ONCE
        self._stack.evaluate(f"[{deleted}], {made}")
        self._done.clear()
        self._fresh = [f"test-{number}" for number in numbers]
