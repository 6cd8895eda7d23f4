"""What augmentation may do to a picture, and within which ranges. Data only: the registry of types and their bounds."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.fields import Strict

#: Type to the bounds of its range and its default range; None: it takes no range.
TYPES: Mapping[str, tuple[float, float, float, float] | None] = {
    "flip_horizontal": None,
    "flip_vertical": None,
    "rotate_90": None,
    "rotate_180": None,
    "rotate_270": None,
    "grayscale": None,
    "rotate": (-180, 180, -15, 15),
    "shear": (-45, 45, -10, 10),
    "shear_x": (-45, 45, -10, 10),
    "shear_y": (-45, 45, -10, 10),
    "crop": (0, 0.5, 0.05, 0.2),
    "crop_pad": (-0.5, 0.5, -0.15, 0.15),
    "blur_gaussian": (0, 20, 0.5, 2),
    "blur_average": (1, 31, 2, 7),
    "blur_median": (1, 31, 3, 7),
    "noise_gaussian": (0, 128, 5, 20),
    "noise_laplace": (0, 128, 5, 20),
    "brightness_add": (-255, 255, -40, 40),
    "brightness_multiply": (0, 10, 0.6, 1.4),
    "hue_add": (-180, 180, -20, 20),
    "hue_multiply": (0, 10, 0.8, 1.2),
    "saturation_add": (-255, 255, -40, 40),
    "saturation_multiply": (0, 10, 0.5, 1.5),
    "contrast_gamma": (0.05, 10, 0.6, 1.6),
    "contrast_sigmoid": (1, 20, 4, 10),
    "sharpen": (0, 1, 0.2, 0.8),
}


def _known(name: str) -> str:
    if name not in TYPES:
        raise ValueError(f"augmentations are {', '.join(TYPES)}")
    return name


Type = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(TYPES)})]


class Augmentation(Strict):
    """One kind of change, applied to some of each task's frames. Degrees, pixels, grey levels or factors."""

    type: Type
    percent: float = Field(10, gt=0, le=100, description="Of the frames of each task; at least one.")
    range: tuple[float, float] | None = Field(None, description="The change is drawn between these.")
    level: Literal["image"] = Field("image", description="Whole pictures; single boxes are not augmented.")

    @model_validator(mode="after")
    def _in_bounds(self) -> Self:
        bounds = TYPES[self.type]
        if self.range is None:
            return self
        if bounds is None:
            raise ValueError(f"{self.type} takes no range")
        low, high = self.range
        if not bounds[0] <= low <= high <= bounds[1]:
            raise ValueError(f"the range of {self.type} lies within {bounds[0]:g} to {bounds[1]:g}, lower end first")
        return self

    @property
    def interval(self) -> tuple[float, float]:
        """Between which the change is drawn."""
        bounds = TYPES[self.type]
        return self.range or (bounds[2:] if bounds is not None else (0.0, 0.0))
