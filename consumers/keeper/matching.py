"""Does what was delivered match a manifest? Every file counts, not only the last one. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from consumers.delivered import Candidate, Files
from schemas.deliveries import Extra, Outcome


@dataclass(frozen=True)
class Compared:
    """A manifest against what is there."""

    candidate: Candidate
    missing: Sequence[str]
    wrong: Sequence[str]
    extra: Sequence[str]
    outcome: Outcome

    @property
    def exact(self) -> bool:
        """Whether it is this and nothing else."""
        return self.outcome is Outcome.MATCHED and not self.extra


@dataclass(frozen=True)
class Verdict:
    """What a delivery is, and the manifests that it matches: none unless it is `matched`."""

    outcome: Outcome
    compared: Sequence[Compared]
    matched: Sequence[Candidate]


def judge(delivered: Files, candidates: Iterable[Candidate], extra: Extra) -> Verdict:
    """Compare with every manifest. One that fits without a file too many goes before those that leave some over."""
    compared = [compare(delivered, candidate, extra) for candidate in candidates]
    full = [each for each in compared if each.exact] or [each for each in compared if each.outcome is Outcome.MATCHED]
    best = full or _of(compared, Outcome.PARTIAL) or compared
    if not best:
        return Verdict(Outcome.UNKNOWN, (), ())
    if len({each.candidate.list_sha256 for each in best}) > 1:
        return Verdict(Outcome.AMBIGUOUS, compared, ())
    return Verdict(best[0].outcome, compared, [each.candidate for each in full])


def compare(delivered: Files, candidate: Candidate, extra: Extra) -> Compared:
    """One manifest, file by file."""
    listed = candidate.files
    missing = [path for path in listed if path not in delivered]
    wrong = [path for path in listed if path in delivered and not listed[path].is_like(delivered[path])]
    left_over = [path for path in delivered if path not in listed]
    outcome = Outcome.MATCHED
    if wrong or (left_over and extra is Extra.REFUSE):
        outcome = Outcome.MISMATCH
    elif missing:
        outcome = Outcome.PARTIAL
    return Compared(candidate, missing, wrong, left_over, outcome)


def _of(compared: Iterable[Compared], outcome: Outcome) -> list[Compared]:
    return [each for each in compared if each.outcome is outcome]
