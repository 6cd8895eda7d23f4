"""There are at least as many messages as jobs that count as published, whatever order things happen in.

A random walk over all that touches the line: gateways and relays that commit, send and note in three steps, consumers
that get any message there is, limits that put aside, and work that ends, fails, is cancelled or handed back. At last
everything that is under way comes to its end, and nobody may be left in line: who lost a message would stay there.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from consumers.outcome import Done
from consumers.runtime import endings
from infra import claims, db, jobs, line, submission
from infra.claims import Claim
from infra.holds import Round
from infra.line import Seat, Wakeup
from schemas.registry import KINDS, Kind, Limits
from tests.makers import new_command, new_file

SEEDS = 8
STEPS = 150
SLEEP = KINDS["analyze.sleep"]
# Limits put aside many whose messages then are too many; without any, every message counts.
LIMITS = {"free": Limits(), "bounded": Limits(concurrency=6, per_key=2, starts_per_second=500.0)}
NEVER = 3600.0


@dataclass(eq=False)
class World:
    """What is in the queue, what has been sent and not noted, and who works."""

    engine: Engine
    file: str
    dice: random.Random
    kind: Kind
    committed: list[Sequence[Wakeup]] = field(default_factory=list)
    messages: list[Wakeup] = field(default_factory=list)
    unnoted: list[Sequence[Wakeup]] = field(default_factory=list)
    relayed: Sequence[Wakeup] = ()
    working: list[Claim] = field(default_factory=list)
    made: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rounds, self.seat = Round([self.kind]), Seat("analyzer", [self.kind], "w", 30)
        # Deaths, cancels and late notes leave messages too many, behind which a lost one would hide.
        self.mishaps = self.dice.choice([0, 0.1])
        self.prompt = self.dice.random() < 0.5

    def commit(self) -> None:
        """A gateway has committed some jobs; it will send them, or it will die."""
        key = self.dice.choice([None, None, "a", "b"])
        terms = {"priority": self.dice.choice([0, 0, 0, 9]), "concurrency_key": key}
        new = [new_command(self.file, **terms) for _ in range(self.dice.randint(1, 4))]
        with self.engine.begin() as connection:
            receipts = submission.submit(connection, new)
        self.made += [command.id for command in new]
        self.committed.append([Wakeup(command.id, r.queued_at) for command, r in zip(new, receipts, strict=True)])
        if self.prompt:
            self.send()

    def send(self) -> None:
        if self.committed:
            sent = self.committed.pop(self.dice.randrange(len(self.committed)))
            if self.dice.random() >= self.mishaps:
                self.unnoted.append(self._sent(sent))

    def relay(self, age: float = NEVER) -> bool:
        """The relay notes what it has sent, and sends what has no message yet; a new relay knows of no message."""
        if self.dice.random() >= self.mishaps:
            self._note(self.relayed)
        with self.engine.begin() as connection:
            batch = self.dice.randint(1, 9)
            rows = db.rows(connection, "outbox.unpublished", consumer="analyzer", age=age, batch=batch)
        self.relayed = self._sent([Wakeup(row["id"], row["queued_at"]) for row in rows])
        return bool(rows)

    def note(self) -> None:
        if self.unnoted:
            self._note(self.unnoted.pop(self.dice.randrange(len(self.unnoted))))

    def consume(self) -> None:
        """Some message comes to a consumer, which has a free slot."""
        if not self.messages:
            return
        woken, paid = self.messages.pop(self.dice.randrange(len(self.messages))), True
        while True:
            with self.engine.begin() as connection:
                turn = line.look(connection, self.seat, woken if paid else None, paid)
            if turn.claim is not None:
                self.working.append(turn.claim)
            if not turn.again:
                return
            paid = False

    def end(self) -> None:
        if not self.working:
            return
        claim = self.working.pop(self.dice.randrange(len(self.working)))
        with self.engine.begin() as connection:
            way = self.dice.random()
            if way < 0.6:
                endings.settle(connection, claim, Done())
            elif way < 0.8:
                claims.retry(connection, claim, "broken", "It broke.")
            else:
                claims.release(connection, claim)

    def cancel(self) -> None:
        if self.made:
            with self.engine.begin() as connection:
                jobs.cancel(connection, self.dice.choice(self.made))

    def let_in(self) -> None:
        with self.engine.begin() as connection:
            self.rounds.go(connection)

    def promote(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(text("update jobs set run_at = now() where state = 'scheduled'"))
            db.run(connection, "outbox.promote", batch=100)

    def pay(self) -> None:
        with self.engine.begin() as connection:
            line.pay(connection)

    def step(self) -> None:
        odds: dict[Callable[[], object], float] = {
            self.commit: 12,
            self.send: 12,
            self.relay: 12,
            self.note: 8,
            self.consume: 36,
            self.end: 24,
            self.let_in: 8,
            self.promote: 6,
            self.pay: 4,
            self.cancel: 30 * self.mishaps,
        }
        self.dice.choices([*odds], [*odds.values()])[0]()

    def calm_down(self) -> None:
        """Whatever is under way comes to its end, and then again whatever follows from it."""
        quiet = 0
        while quiet < 3:
            quiet += 1
            for _ in range(len(self.unnoted)):
                self.note()
            self.committed.clear()
            self.promote()
            self.let_in()
            self.pay()
            if self.relay(age=-1) or self.messages or self.working:
                quiet = 0
            while self.messages:
                self.consume()
            while self.working:
                self.end()

    def _sent(self, those: Sequence[Wakeup]) -> Sequence[Wakeup]:
        self.messages += those
        if self.prompt:
            self._note(those)
        return those

    def _note(self, sent: Sequence[Wakeup]) -> None:
        values = {"ids": [w.job_id for w in sent], "queued_at": [w.queued_at for w in sent]}
        with self.engine.begin() as connection:
            db.run(connection, "outbox.mark", **values)


@pytest.mark.row("X-04")
@pytest.mark.parametrize("limits", LIMITS)
def test_whatever_happens_in_whatever_order_nobody_is_left_in_line(database: Engine, limits: str) -> None:
    file, kind = new_file(database), replace(SLEEP, limits=LIMITS[limits])
    for seed in range(SEEDS):
        world = World(database, file, random.Random(seed), kind)
        for _ in range(STEPS):
            world.step()
        world.calm_down()
        with database.begin() as connection:
            left = connection.execute(text("select count(*), min(held) from jobs where finished_at is null")).one()
        assert tuple(left) == (0, None), f"seed {seed}"
