"""The account of a chaos run: what was done, and what is true afterwards, each with its count."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.invariants import Finding


@dataclass
class Report:
    """What was done, and what is true afterwards."""

    seed: int
    blows: Counter[str]
    deaths: Counter[str]
    own_deaths: Counter[str]
    repeats: Counter[str]
    attempts: Counter[int]
    seconds: float
    findings: list[Finding] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every invariant holds."""
        return all(finding.holds for finding in self.findings)

    def __str__(self) -> str:
        parts = [f"seed {self.seed}, {self.seconds:.0f} s until everything had ended"]
        told: dict[str, Counter[Any]] = {"blows": self.blows, "killed": self.deaths, "died by itself": self.own_deaths}
        told |= {"asked again": self.repeats, "attempts per job": self.attempts}
        for title, counts in told.items():
            parts.append(f"{title}: " + (", ".join(f"{n} x {what}" for what, n in counts.most_common()) or "none"))
        return "\n".join([*parts, *(str(finding) for finding in self.findings)])
