"""A DeepLabCut project from nothing: a tiny network with random weights that learns the dots in some seconds.

DeepLabCut builds the network, its targets and its losses; the loop around them is ours, because DeepLabCut's own asks
for pretrained weights and is made for hours, not for seconds. What comes out is a project like any other.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from tests.dots.scene import BODY, CAMERAS, HEIGHT, POINTS, SKELETON, WIDTH, background, render, turned

STEPS, BATCH, PICTURES, CROP = 300, 8, 200, 88
SEED = 7
HEATMAP = {"kernel_size": [3], "strides": [2]}
TASK, DATE, FRACTION = "dots", "Jan1", 0.91
TRAINED = f"dlc-models-pytorch/iteration-0/{TASK}{DATE}-trainset{round(FRACTION * 100)}shuffle1"


def make(folder: Path) -> float:
    """Write the project into a folder; returns the loss that the last steps had."""
    import torch
    from deeplabcut.pose_estimation_pytorch.models import PoseModel

    folder.mkdir(parents=True)
    config = pose_config(folder)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    network = PoseModel.build(config["model"], pretrained_backbone=False)
    loss = _teach(network)
    train = folder / TRAINED / "train"
    _yaml(train / "pytorch_config.yaml", config)
    torch.save({"model": network.state_dict(), "metadata": {"epoch": 1}}, train / "snapshot-001.pt")
    _yaml(folder / "config.yaml", project_config(folder))
    test: dict[str, Any] = {"dataset": str(folder), "num_joints": len(POINTS), "net_type": "resnet_50"}
    joints = {"all_joints": [[n] for n in range(len(POINTS))], "all_joints_names": list(POINTS)}
    _yaml(folder / TRAINED / "test" / "pose_cfg.yaml", test | joints | {"scoremap_dir": "test", "global_scale": 1.0})
    shuffles = {Path(TRAINED).name: {"train_fraction": FRACTION, "index": 1, "split": 1, "engine": "pytorch"}}
    datasets = folder / "training-datasets" / "iteration-0" / f"UnaugmentedDataSet_{TASK}{DATE}"
    _yaml(datasets / "metadata.yaml", {"shuffles": shuffles})
    return loss


def pose_config(folder: Path) -> dict[str, Any]:
    """The network: timm's smallest ResNet and a head for each point."""
    points = len(POINTS)
    head = {
        "type": "HeatmapHead",
        "weight_init": "normal",
        "predictor": {
            "type": "HeatmapPredictor",
            "apply_sigmoid": False,
            "clip_scores": True,
            "location_refinement": True,
            "locref_std": 7.2801,
        },
        "target_generator": {
            "type": "HeatmapGaussianGenerator",
            "num_heatmaps": points,
            "pos_dist_thresh": 12,
            "heatmap_mode": "KEYPOINT",
            "gradient_masking": False,
            "generate_locref": True,
            "locref_std": 7.2801,
        },
        "criterion": {
            "heatmap": {"type": "WeightedMSECriterion", "weight": 1.0},
            "locref": {"type": "WeightedHuberCriterion", "weight": 0.05},
        },
        "heatmap_config": {"channels": [96, points], **HEATMAP},
        "locref_config": {"channels": [96, 2 * points], **HEATMAP},
    }
    backbone = {"type": "ResNet", "model_name": "test_resnet", "output_stride": 16}
    frozen = {"freeze_bn_stats": False, "freeze_bn_weights": False}
    about = {
        "project_path": str(folder),
        "pose_config_path": str(folder / TRAINED / "train" / "pytorch_config.yaml"),
        "bodyparts": list(POINTS),
        "unique_bodyparts": [],
        "individuals": ["individual_1"],
        "with_identity": None,
    }
    seen = {"normalize_images": True}
    return {
        "model": {
            "backbone": backbone | frozen,
            "backbone_output_channels": 96,
            "heads": {"bodypart": head},
        },
        "net_type": "resnet_50",
        "method": "bu",
        "device": "cpu",
        "metadata": about,
        "data": {"colormode": "RGB", "inference": seen, "train": seen},
        "runner": {"type": "PoseTrainingRunner", "optimizer": {"type": "AdamW", "params": {"lr": 1e-3}}},
        "train_settings": {"batch_size": BATCH, "epochs": 1, "seed": SEED},
    }


def project_config(folder: Path) -> dict[str, Any]:
    """The project."""
    return {
        "Task": TASK,
        "scorer": "tests",
        "date": DATE,
        "multianimalproject": False,
        "project_path": str(folder),
        "engine": "pytorch",
        "video_sets": {},
        "bodyparts": list(POINTS),
        "skeleton": SKELETON,
        "pcutoff": 0.3,
        "TrainingFraction": [FRACTION],
        "iteration": 0,
        "default_net_type": "resnet_50",
        "snapshotindex": -1,
        "batch_size": 8,
    }


def _teach(network: Any) -> float:
    import torch

    random = np.random.default_rng(SEED)
    pictures, truth = zip(*(_lesson(random) for _ in range(PICTURES)), strict=True)
    images, points = torch.tensor(np.stack(pictures)), torch.tensor(np.stack(truth))
    steps = torch.optim.AdamW(network.parameters(), lr=3e-3)
    pace = torch.optim.lr_scheduler.OneCycleLR(steps, max_lr=4e-3, total_steps=STEPS)
    losses: list[float] = []
    network.train()
    for _ in range(STEPS):
        chosen = torch.tensor(random.integers(0, PICTURES, BATCH))
        found = network(images[chosen])
        wanted = network.get_target(found, {"keypoints": points[chosen]})
        loss = network.get_loss(found, wanted)["total_loss"]
        steps.zero_grad()
        loss.backward()
        steps.step()
        pace.step()
        losses.append(float(loss))
    network.eval()
    return float(np.mean(losses[-20:]))


def _lesson(random: np.random.Generator) -> tuple[Any, Any]:
    """A picture as the network gets it, and where the points are: (x, y, 2), or (0, 0, 0) for one that is not there."""
    centre = np.array([random.uniform(-3.8, 3.8), random.uniform(-2.6, 2.6), random.uniform(-2.2, 2.2)])
    turn = turned(random.uniform(-0.5, 0.5), random.uniform(-0.5, 0.5), random.uniform(0, 2 * np.pi))
    camera = CAMERAS["camera-1" if random.random() < 0.5 else "camera-2"]
    pixels, depth = camera.see(BODY @ turn.T + centre)
    hidden = tuple(n for n in range(len(POINTS)) if random.random() < 0.15)
    picture = render(background(random), pixels, depth, random, hidden)
    soft = np.asarray(cv2.GaussianBlur(picture, (0, 0), random.uniform(0.1, 0.6)), float)
    usual = (soft / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    truth = np.concatenate([pixels, np.full((len(POINTS), 1), 2.0)], axis=1)
    # A part of the picture around one of the points teaches as much, in a third of the time.
    corner = pixels[random.integers(len(POINTS))] - CROP / 2 + random.uniform(-20, 20, 2)
    left, top = np.clip(corner, 0, (WIDTH - CROP, HEIGHT - CROP)).astype(int)
    truth[:, :2] -= (left, top)
    outside = ((truth[:, :2] < 0) | (truth[:, :2] > CROP - 1)).any(axis=1)
    truth[outside | np.isin(range(len(POINTS)), hidden)] = 0
    part = usual[top : top + CROP, left : left + CROP].transpose(2, 0, 1)
    return part.astype(np.float32), truth[None].astype(np.float32)


def _yaml(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
