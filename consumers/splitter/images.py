"""`split.images`: images become tasks. Each is padded with black, in the middle, to the largest of its task.

No image is scaled, so that a box in the padded frame less its border is the box in the image. A later attempt goes on
behind the tasks that earlier ones committed, with the same bytes.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from os import cpu_count
from typing import Any

import cv2
import numpy as np
from av import VideoFrame

from consumers.artifacts import Artifact, Step
from consumers.outcome import Done
from consumers.ports import Workspace
from consumers.splitter.decode import Shot
from consumers.splitter.encode import TaskVideo
from consumers.splitter.look import BT601, BT709, Look
from consumers.splitter.pictures import JPEG, frame_name, jpeg, thumbnail, thumbnail_name
from consumers.splitter.pictureset import Image, images
from consumers.splitter.pixels import Bytes, Pixels
from consumers.splitter.records import number_of, task_name
from schemas.splitting import SplitVideo
from schemas.uploads import SplitImages

MP4 = "video/mp4"


def handle(params: SplitImages, workspace: Workspace) -> Done:
    """Cut the images into tasks, a step each.

    Raises Rejected: `no_images`, `unreadable_image`, `unreadable_archive`, `image_too_large`, `too_many_images`.
    """
    found = images(workspace, params.images, params.seed)
    cuts = [found[first : first + params.frames_per_task] for first in range(0, len(found), params.frames_per_task)]
    finished = {step.ordinal for step in workspace.checkpoints()}
    name = workspace.name(params.images[0])
    for number, cut in enumerate(cuts):
        if number not in finished:
            _cut(params, workspace, name, number, cut)
        workspace.progress(99 * (number + 1) / len(cuts))
    return Done({"tasks": len(cuts), "frames": len(found), "rate": str(params.rate)})


def _cut(params: SplitImages, workspace: Workspace, name: str, number: int, cut: Sequence[Image]) -> None:
    with ThreadPoolExecutor(cpu_count() or 1, thread_name_prefix="image") as pool:
        sizes = list(pool.map(lambda image: image.read().shape[:2], cut))
        height, width = max(size[0] for size in sizes), max(size[1] for size in sizes)
        first = number * params.frames_per_task
        look = _look(width, height)
        path = workspace.scratch / f"task-{number}.mp4"
        artifacts: list[Artifact] = []
        with TaskVideo(path, look, _video(params), Pixels(look)) as video:
            for place, image in enumerate(cut):
                picture = padded(image.read(), width, height)
                stores = [
                    pool.submit(_store, workspace, make(first + place), data, params.image_quality)
                    for make, data in ((frame_name, picture), (thumbnail_name, thumbnail(picture)))
                ]
                video.add(Shot(VideoFrame.from_ndarray(picture, format="bgr24")))
                artifacts += [store.result() for store in stores]
        artifacts.append(workspace.store(task_name(number), path, MP4))
        path.unlink()
    record = _record(params, name, number, [image.name for image in cut], sizes)
    workspace.checkpoint(Step(f"task-{number}", number, record, tuple(artifacts)))


def padded(picture: Bytes, width: int, height: int) -> Bytes:
    """The picture in the middle of a black one of this size."""
    left, top, right, bottom = borders(picture.shape[1], picture.shape[0], width, height)
    return np.asarray(cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT), np.uint8)


def borders(width: int, height: int, whole_width: int, whole_height: int) -> tuple[int, int, int, int]:
    """Black columns and rows on the left, above, on the right and below; an odd one is on the right or below."""
    left, top = (whole_width - width) // 2, (whole_height - height) // 2
    return left, top, whole_width - width - left, whole_height - height - top


def _store(workspace: Workspace, name: str, picture: Bytes, quality: int) -> Artifact:
    return workspace.store(name, jpeg(picture, quality), JPEG)


def _look(width: int, height: int) -> Look:
    matrix = BT709 if height >= 720 else BT601
    return Look(width, height, 0, matrix, matrix, matrix, True, Fraction(1))


def _video(params: SplitImages) -> SplitVideo:
    return SplitVideo(file=params.images[0], rate=params.rate)


def _record(
    params: SplitImages, name: str, number: int, names: Sequence[str], sizes: Sequence[tuple[int, ...]]
) -> dict[str, Any]:
    """The task as annotation clients know it; `images` says for each frame where the image is in it."""
    height, width = max(size[0] for size in sizes), max(size[1] for size in sizes)
    first = number * params.frames_per_task
    described = []
    for image, (h, w) in zip(names, sizes, strict=True):
        left, top, right, bottom = borders(w, h, width, height)
        border = {"left": left, "top": top, "right": right, "bottom": bottom}
        described.append({"name": image, "width": w, "height": h, "border": border})
    return {
        "task": number,
        "taskName": f"task-{number}-{name.rpartition('.')[0] or name}",
        "videoName": name,
        "videoPath": task_name(number),
        "taskStatus": 0,
        "firstSample": first,
        "frameStart": first,
        "frameEnd": first + len(names) - 1,
        "frameCount": len(names),
        "original_frames": list(range(first, first + len(names))),
        "frameRate": number_of(params.rate),
        "videoDuration": number_of(len(names) / params.rate),
        "videoResolutionWidth": width,
        "videoResolutionHeight": height,
        "padding": {"right": width % 2, "bottom": height % 2},
        "Original_resolutions": [[w, h] for h, w in sizes],
        "images": described,
    }
