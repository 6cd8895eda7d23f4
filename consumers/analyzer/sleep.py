"""`analyze.sleep`: sleep for whole seconds and write the number down. The smallest job that takes the whole path."""

import time

from consumers.outcome import Done
from consumers.ports import Workspace
from schemas.analyses import Sleep

TICK_SECONDS = 0.1
CSV = "output.csv"


def handle(params: Sleep, workspace: Workspace) -> Done:
    """Sleep `params.time` seconds. The result names the CSV file by its SHA-1, as old clients expect."""
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < params.time:
        workspace.progress(100 * elapsed / params.time)
        time.sleep(min(TICK_SECONDS, params.time - elapsed))
    artifact = workspace.store(CSV, f"sleep,{params.time}\n".encode(), "text/csv")
    return Done({"sleep_time": params.time, "csv_file": artifact.sha1}, (artifact,))
