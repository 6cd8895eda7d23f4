"""Tracks as artifacts: the CSV that everything is read back from, and HDF5 beside it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from consumers.analyzer import poses
from consumers.analyzer.poses import Track
from consumers.analyzer.stage import files
from consumers.artifacts import Artifact, Step
from consumers.ports import AnalysisWorkspace

CSV, HDF = "text/csv", "application/x-hdf5"
NO_HDF = "no_hdf5: the packages that write HDF5 are not installed where this consumer runs"


def stored(workspace: AnalysisWorkspace, track: Track, folder: str, stem: str) -> tuple[list[Artifact], list[str]]:
    """Write a track as `<stem>.csv` and `<stem>.h5`. Returns them, and warnings."""
    at = workspace.scratch / folder
    at.mkdir(exist_ok=True)
    csv, hdf = Path(at, f"{stem}.csv"), Path(at, f"{stem}.h5")
    poses.write_csv(track, csv)
    made: list[tuple[str, Path | bytes, str]] = [(f"{folder}{csv.name}", csv, CSV)]
    warnings = [NO_HDF]
    if poses.write_hdf(track, hdf):
        made, warnings = [*made, (f"{folder}{hdf.name}", hdf, HDF)], []
    return together(workspace, made), warnings


def together(workspace: AnalysisWorkspace, made: Sequence[tuple[str, Path | bytes, str]]) -> list[Artifact]:
    """Store several artifacts (name, source, content type) at once: most of the time of each is waiting."""
    with ThreadPoolExecutor(len(made)) as threads:
        return list(threads.map(lambda each: workspace.store(*each), made))


def loaded(workspace: AnalysisWorkspace, step: Step, stem: str) -> Track:
    """The track that a stage left."""
    return poses.read_csv(workspace.fetch(files(step)[f"{stem}.csv"]))
