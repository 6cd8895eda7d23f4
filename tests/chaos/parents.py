"""A handler whose job has children: two echoes, and a third that waits for both."""

from consumers.outcome import Done, Follow
from consumers.ports import Workspace
from schemas.analyses import Sleep

CHILDREN = 3


def handle(params: Sleep, workspace: Workspace) -> Done:
    """Have them."""
    echoes = [Follow("probe.echo", {"text": text}) for text in ("a", "b")]
    return Done({}, (), (*echoes, Follow("probe.echo", {"text": "after"}, after_siblings=True)))
