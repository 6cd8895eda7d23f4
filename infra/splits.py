"""How a dataset is split: seeded, whole groups only, as close to the wanted shares as groups allow. Pure.

Groups are shuffled, then put, largest first, where most is missing. Then single moves and swaps are taken as long as
they bring the shares closer. No wanted split stays empty while another has more than one group.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

G = TypeVar("G")
S = TypeVar("S")
ROUNDS = 10


@dataclass
class _Sharing(Generic[G, S]):
    weights: Mapping[G, int]
    targets: Mapping[S, float]
    split_of: dict[G, S]

    def total(self, split: S) -> int:
        return sum(self.weights[group] for group, given in self.split_of.items() if given == split)

    def missing(self) -> dict[S, float]:
        return {split: target - self.total(split) for split, target in self.targets.items()}

    def groups(self, split: S) -> list[G]:
        return [group for group, given in self.split_of.items() if given == split]


def share(weights: Mapping[G, int], percentages: Mapping[S, float], seed: int) -> dict[G, S]:
    """Which split each group is in. Groups in the same order with the same seed give the same answer.

    `weights`: what each group counts; all zero counts as all one. `percentages` add up to 100.
    """
    counted = weights if any(weights.values()) else dict.fromkeys(weights, 1)
    whole = sum(counted.values())
    targets = {split: whole * percent / 100 for split, percent in percentages.items() if percent > 0}
    order = list(weights)
    random.Random(seed).shuffle(order)  # noqa: S311 - reproducible on purpose
    order.sort(key=lambda group: -counted[group])
    sharing = _Sharing(counted, targets, {})
    missing = dict(targets)
    for group in order:
        split = max(missing, key=lambda split: missing[split])
        sharing.split_of[group] = split
        missing[split] -= counted[group]
    _fill_empty(sharing)
    for _ in range(ROUNDS):
        if not _improve(sharing, order):
            break
    return {group: sharing.split_of[group] for group in weights}


def _fill_empty(sharing: _Sharing[G, S]) -> None:
    """Give every empty split the lightest group of the split that has most of them."""
    for split in sharing.targets:
        if sharing.groups(split):
            continue
        rich = max(sharing.targets, key=lambda other: len(sharing.groups(other)))
        if len(sharing.groups(rich)) > 1:
            lightest = min(sharing.groups(rich), key=lambda group: sharing.weights[group])
            sharing.split_of[lightest] = split


def _improve(sharing: _Sharing[G, S], order: Sequence[G]) -> bool:
    """Move single groups while that helps; at most one move for each group. True when something moved."""
    missing = sharing.missing()
    sizes = {split: len(sharing.groups(split)) for split in sharing.targets}
    moved = False
    for group in order:
        here, weight = sharing.split_of[group], sharing.weights[group]
        there = max(missing, key=lambda split: missing[split])
        if there == here or sizes[here] == 1 or not _closer(missing[here], missing[there], weight):
            continue
        sharing.split_of[group] = there
        missing[here] += weight
        missing[there] -= weight
        sizes[here] -= 1
        sizes[there] += 1
        moved = True
    return moved


def _closer(here: float, there: float, weight: int) -> bool:
    return abs(here + weight) + abs(there - weight) < abs(here) + abs(there) - 1e-9
