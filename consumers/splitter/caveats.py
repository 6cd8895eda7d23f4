"""What a caller should know about a split that worked all the same. The same source gives the same warnings."""

from fractions import Fraction
from typing import Any

from consumers.splitter.plan import Plan
from consumers.splitter.probe import Source
from consumers.splitter.records import number_of

Caveat = dict[str, Any]
# Sound may well go on a little longer than the pictures do.
SECONDS_SHORT = 1
SHARE_SHORT = 50


def caveats_of(source: Source, plan: Plan, delivered: int, substituted: int) -> list[Caveat]:
    """Each with a `code`, a `message` and the numbers behind it. `delivered` and `substituted` count samples."""
    found = [
        _synthetic(source),
        _damaged(source),
        _cut_short(source),
        _lost(len(plan.ordinals), delivered, substituted),
    ]
    return [warning for warning in found if warning]


def _synthetic(source: Source) -> Caveat | None:
    if not source.synthetic_timestamps:
        return None
    rate = source.timeline.average_rate
    message = f"The stream carries no timestamps; {float(rate):.6g} frames per second were assumed."
    return {"code": "synthetic_timestamps", "message": message, "source_rate": str(rate)}


def _damaged(source: Source) -> Caveat | None:
    if not source.damaged_packets:
        return None
    message = f"{source.damaged_packets} of {source.packets} packets are damaged."
    return {"code": "damaged", "message": message, "damaged": source.damaged_packets, "packets": source.packets}


def _cut_short(source: Source) -> Caveat | None:
    timeline = source.timeline
    declared, found = source.declared_duration, timeline.duration
    frames_missing = source.declared_frames > source.packets
    # Some containers count from zero, others from their first timestamp.
    reached = max(found, timeline.end * timeline.time_base)
    seconds_missing = declared is not None and declared - reached > max(Fraction(SECONDS_SHORT), declared / SHARE_SHORT)
    if not (frames_missing or seconds_missing):
        return None
    return {
        "code": "shorter_than_declared",
        "message": "The file holds less video than it declares; it was probably cut off.",
        "declared_frames": source.declared_frames or None,
        "found_frames": source.packets,
        "declared_seconds": number_of(declared) if declared is not None else None,
        "found_seconds": number_of(found),
    }


def _lost(planned: int, delivered: int, substituted: int) -> Caveat | None:
    if delivered == planned and not substituted:
        return None
    message = (
        f"{planned - delivered} of {planned} samples could not be decoded and are left out; "
        f"{substituted} show a neighbouring frame instead of their own."
    )
    return {
        "code": "frames_lost",
        "message": message,
        "planned": planned,
        "delivered": delivered,
        "substituted": substituted,
    }
