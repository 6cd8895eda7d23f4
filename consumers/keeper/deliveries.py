"""`deliveries.check`: compare what was delivered with the manifests that it may match."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from consumers.delivered import Delivered, Files
from consumers.keeper.matching import Compared, judge
from consumers.outcome import Done
from consumers.ports import Reception
from schemas.deliveries import SHOWN_FILES, SHOWN_MANIFESTS, CheckDelivery, Outcome


def handle(params: CheckDelivery, workspace: Reception) -> Done:
    """Say what the delivery is. What follows from it is written with the job's success."""
    delivered = workspace.delivered(params.delivery)
    verdict = judge(_hashed(delivered, workspace), delivered.candidates, delivered.extra)
    return Done(
        {
            "delivery": str(params.delivery),
            "outcome": verdict.outcome,
            "matched": [[each.host, each.external_id, each.list_sha256] for each in verdict.matched],
            "compared": [_told(each) for each in _shown(verdict.compared)],
        }
    )


def _hashed(delivered: Delivered, workspace: Reception) -> Files:
    """The files with the hashes that a manifest asks for, of those that lie in the object store."""
    wanted = _worth_hashing(delivered)
    files = dict(delivered.files)
    for done, path in enumerate(wanted):
        workspace.progress(100 * done / len(wanted))
        files[path] = replace(files[path], sha256=workspace.sha256(delivered.objects[path]))
    return files


def _worth_hashing(delivered: Delivered) -> Sequence[str]:
    """A file of the wrong size is wrong whatever is in it."""
    wanted = {
        path
        for candidate in delivered.candidates
        for path, listed in candidate.files.items()
        if listed.sha256 is not None
        and path in delivered.objects
        and path in delivered.files
        and delivered.files[path].size == listed.size
    }
    return sorted(wanted)


def _shown(compared: Sequence[Compared]) -> Sequence[Compared]:
    """Those that matched, and some of the others."""
    return sorted(compared, key=lambda each: each.outcome is not Outcome.MATCHED)[:SHOWN_MANIFESTS]


def _told(compared: Compared) -> dict[str, Any]:
    odd = {"missing": compared.missing, "wrong": compared.wrong, "extra": compared.extra}
    return {
        "host": compared.candidate.host,
        "external_id": compared.candidate.external_id,
        "outcome": compared.outcome,
        "counts": {name: len(paths) for name, paths in odd.items()},
        **{name: sorted(paths)[:SHOWN_FILES] for name, paths in odd.items()},
    }
