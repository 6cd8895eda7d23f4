"""`make fuzz`: senseless requests, messages and media against a system that runs; then what broke, counted.

python -m tests.fuzz.run [--requests 20000] [--messages 1250] [--media 150] [--seed N] [--keep FOLDER]
"""

import argparse
import random
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.clips.factory import Clips, Recipe
from tests.furniture import Furniture, furnish, handing_out, operators
from tests.fuzz import media, messages
from tests.fuzz.calls import Sender, Tally, fuzz
from tests.ground import Ground
from tests.system import System, until

NAMES = ("gateway", "relay", "dispatcher", "keeper", "splitter", "analyzer", "pose", "exporter")
#: Seconds that whatever was sent may take to be dealt with.
PATIENCE = 300.0


@dataclass
class Plan:
    """How much is sent: requests, messages to each queue, files."""

    requests: int
    messages: int
    media: int
    seed: int


@dataclass
class Report:
    """What was sent, and what broke."""

    tally: Tally
    messages: int = 0
    media: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{self.messages:7}  messages to {len(messages.QUEUES)} queues, every one dealt with"]
        parts.append(f"{sum(self.media.values()):7}  files: " + ", ".join(f"{n} x {c}" for c, n in self.media.items()))
        parts.append(f"{len(self.broken):7}  things broke: processes, queues, or jobs without a code")
        return "\n".join([*parts, *self.broken])


class Siege:
    """One system with one of everything in it, and what is thrown at it."""

    def __init__(self, system: System, folder: Path, plan: Plan) -> None:
        self.system = system
        self._plan = plan
        self._chance = random.Random(plan.seed)
        self.clip = Clips(folder).make(Recipe(frames=60)).read_bytes()

    def run(self) -> Report:
        """All of it; afterwards everything works as before."""
        self.system.start(*NAMES)
        handing_out(self.system.http)
        made = furnish(self.system.http, self.clip)
        operators(made)
        report = Report(self.requests(made))
        print(report.tally, flush=True)  # the rest may take long, or never end
        url = self.system.environment["REELMILL_AMQP_URL"]
        self._resume_kinds()
        report.messages = messages.publish(url, self._plan.messages, self._chance)
        until(lambda: messages.waiting(url) == 0, "every message is dealt with", PATIENCE)
        report.broken += [f"nobody consumes {queue}" for queue in messages.deserted(url, PATIENCE)]
        told, broken = media.feed(self.system, self.clip, self._plan.media, self._chance)
        report.media = dict(told.most_common())
        report.broken += broken
        report.broken += [f"{name} has died" for name, p in self.system.processes.items() if p.poll() is not None]
        if not report.broken:
            furnish(self.system.http, self.clip)  # a valid job of each kind
            media.lives(self.system, self.clip)
        return report

    def requests(self, made: Furniture) -> Tally:
        """Requests alone."""
        document = self.system.http.get("/v1/openapi.json").json()
        sender = Sender(self.system.url, self.system.token, list(made.ids.values()), self._chance)
        try:
            return fuzz(sender, document, self._plan.requests, self._plan.seed)
        finally:
            sender.close()

    def _resume_kinds(self) -> None:
        """Requests without sense may have paused kinds, or let one job a day through."""
        none = {"concurrency": None, "per_key": None, "starts_per_second": None}
        for kind in self.system.http.get("/v1/kinds").json()["kinds"]:
            self.system.http.post(f"/v1/kinds/{kind['name']}/resume").raise_for_status()
            freed = self.system.http.patch(f"/v1/kinds/{kind['name']}", json=none)
            assert freed.status_code in {200, 409}, freed.text  # the fast ones have no limits


def main() -> int:
    """Run and print. 1 when anything broke."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--messages", type=int, default=1250, help="to each queue")
    parser.add_argument("--media", type=int, default=150)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--keep", type=Path, help="a new folder for the servers' data and all logs, which is kept")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    with ExitStack() as opened:
        made = asked.keep or opened.enter_context(tempfile.TemporaryDirectory(prefix="reelmill-fuzz-"))
        folder = Path(made).absolute()
        ground = opened.enter_context(Ground(folder))
        system = opened.enter_context(ground.system(ground.environment()))
        report = Siege(system, folder, Plan(asked.requests, asked.messages, asked.media, asked.seed)).run()
    print(report)
    return 1 if report.broken or report.tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
