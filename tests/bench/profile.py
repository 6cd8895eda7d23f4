"""CPU seconds by process: what each part of a system has used, its children and their dead included."""

from collections.abc import Mapping

import psutil


def used(pid: int) -> float:
    """User and system seconds of a process and all that descends from it. 0 when it is gone."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0.0
    for process in family:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def all_used(pids: Mapping[str, int]) -> dict[str, float]:
    """The same, by name."""
    return {name: used(pid) for name, pid in pids.items()}


def between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What was used from one look to the next."""
    return {name: max(after[name] - before.get(name, 0.0), 0.0) for name in after}
