"""The frame splitter's door: a video becomes task videos, frames and a manifest, one committed task after another.

Fetch, scan, plan, cut, manifest. A later attempt starts from the tasks that earlier ones committed, and ends with the
same bytes. Bad media is a refusal with a code, never an exception of a library.
"""

from pathlib import Path
from typing import Any

from av import FFmpegError

from consumers.outcome import Done, Rejected
from consumers.ports import Workspace
from consumers.splitter import manifest
from consumers.splitter.caveats import caveats_of
from consumers.splitter.cut import Cutting
from consumers.splitter.ledger import Ledger
from consumers.splitter.plan import Plan, fits, make_plan
from consumers.splitter.probe import Source, scan
from consumers.splitter.records import number_of
from schemas.splitting import SplitVideo


def handle(params: SplitVideo, workspace: Workspace) -> Done:
    """Split `params.file`. Checkpoints one step per task; the outcome's artifact is `manifest.json`.

    Raises Rejected with `unreadable_video`, `no_video_stream`, `unsupported_codec`, `no_frames`, `rate_above_source`
    or `unsupported_video`, and whatever the workspace raises.
    """
    try:
        return _split(params, workspace)
    except FFmpegError as error:
        if isinstance(error, MemoryError | OSError):
            raise
        raise Rejected("unsupported_video", f"The video cannot be converted ({error.strerror}).") from error


def _split(params: SplitVideo, workspace: Workspace) -> Done:
    source = scan(workspace.input(params.file), params.source_rate)
    plan = _plan(source, params)
    ledger = Ledger(workspace.scratch / "tasks.jsonl")
    for step in workspace.checkpoints():
        ledger.add(step)
    Cutting(params, workspace, source, plan, ledger).run()
    if not ledger.frames:
        raise Rejected("no_frames", "Not a single frame of the video can be decoded.")
    return _finish(params, workspace, source, plan, ledger)


def _plan(source: Source, params: SplitVideo) -> Plan:
    if not fits(source.timeline, params.rate):
        rate = float(source.timeline.average_rate)
        message = f"{params.rate} samples per second were asked for; the video has {rate:.6g} frames per second."
        raise Rejected("rate_above_source", message)
    return make_plan(source.timeline, params.rate, params.frames_per_task)


def _finish(params: SplitVideo, workspace: Workspace, source: Source, plan: Plan, ledger: Ledger) -> Done:
    caveats = caveats_of(source, plan, ledger.frames, ledger.substituted)
    path: Path = workspace.scratch / manifest.NAME
    manifest.write(path, manifest.head(source, plan, params, caveats), ledger, plan.rate)
    artifact = workspace.store(manifest.NAME, path, "application/json")
    result: dict[str, Any] = {
        "tasks": len(ledger),
        "frames": ledger.frames,
        "planned": len(plan.ordinals),
        "rate": str(plan.rate),
        "duration": number_of(source.timeline.duration),
        "width": source.look.width,
        "height": source.look.height,
        "source_frames": len(source.timeline.pts),
        "source_rate": str(source.timeline.average_rate),
        "images": params.images,
        "warnings": caveats,
        "manifest": manifest.NAME,
    }
    return Done(result, (artifact,))
