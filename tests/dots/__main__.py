"""Make the model, and write down what DeepLabCut's own functions find with it."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from tests.dots import Dots, model, scene


def main(folder: Path) -> None:
    """Write the model, `mono.npy`, `space.npy` and `about.json`."""
    import deeplabcut

    dots = Dots(folder)
    loss = model.make(dots.model)
    config = str(dots.model / "config.yaml")
    out = folder / "said"
    scorer = deeplabcut.analyze_videos(config, [str(folder / "mono.mp4")], destfolder=str(out), device="cpu")
    _save(folder / "mono.npy", pd.read_hdf(out / f"mono{scorer}.h5"))
    _triangulate(folder, config)
    (folder / "about.json").write_text(json.dumps({"loss": loss, "deeplabcut": deeplabcut.__version__}))


def _triangulate(folder: Path, config: str) -> None:
    """DeepLabCut 3.0.2 reads a 3-D project with the schema of 2-D ones, and fails: it is given plain values instead."""
    import deeplabcut
    from deeplabcut.utils import auxiliaryfunctions

    strict = auxiliaryfunctions.read_config

    def read_config(name: Any, *args: Any, **kwargs: Any) -> Any:
        document = auxiliaryfunctions.read_plainconfig(name)
        return document if "camera_names" in document else strict(name, *args, **kwargs)

    auxiliaryfunctions.read_config = read_config
    rig = folder / "said-rig"
    shutil.copytree(folder / "rig", rig)
    document = yaml.safe_load((rig / "config.yaml").read_text())
    document |= {"project_path": str(rig)} | {f"config_file_{camera}": config for camera in scene.CAMERAS}
    (rig / "config.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    videos = [shutil.copy(folder / f"session_{camera}.mp4", rig) for camera in scene.CAMERAS]
    deeplabcut.triangulate(str(rig / "config.yaml"), [[str(v) for v in videos]], filterpredictions=False)
    _save(folder / "space.npy", pd.read_hdf(next(rig.glob("*_DLC_3D.h5"))))


def _save(path: Path, table: Any) -> None:
    np.save(path, table.to_numpy().reshape(len(table), -1, 3))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
