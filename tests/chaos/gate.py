"""A handler that ends when the test says so: a blow falls in the middle of its work, however fast the machine is."""

import os
import time
from pathlib import Path

from consumers.analyzer import sleep
from consumers.outcome import Done
from consumers.ports import Workspace
from schemas.analyses import Sleep

HANDLER = "analyze.sleep=tests.chaos.gate:handle"
VARIABLE = "GATE"
TICK_SECONDS = 0.05


def handle(params: Sleep, workspace: Workspace) -> Done:
    """Say that the work has begun, wait for a file, and sleep as ever."""
    opening = Path(os.environ[VARIABLE])
    while not opening.exists():
        workspace.progress(1)
        time.sleep(TICK_SECONDS)
    return sleep.handle(params, workspace)
