"""The settings of an image model."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from luodi.config.shared import AnySettings, Positive, Preprocess, SettingsBase, Share, Training


class ImageValidate(SettingsBase):
    """Sides in pixels; contrast is the standard deviation of intensity, intensity its mean, both in [0, 1]."""

    min_rows: Positive
    min_side: Positive
    max_side: Positive
    min_contrast: Share
    max_duplicate_share: Share
    max_near_duplicate_share: Share
    max_contradictions: Annotated[int, Field(ge=0)]
    min_class_share: Share
    min_intensity: Share
    max_intensity: Share
    max_quarantined_share: Share

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.min_side > self.max_side:
            raise ValueError(f"min_side {self.min_side} is above max_side {self.max_side}")
        if self.min_intensity > self.max_intensity:
            raise ValueError(f"min_intensity {self.min_intensity} is above max_intensity {self.max_intensity}")
        return self


class ImageAugment(SettingsBase):
    """Random changes of a train image each time it is seen.

    Attributes:
        flip: Mirror half of the images left to right, top to bottom, or either way.
        rotation: Largest turn, degrees.
        zoom: Largest change of scale, a share of it.
        shift: Largest move, a share of each side.
    """

    flip: Literal["none", "horizontal", "vertical", "both"]
    rotation: Annotated[float, Field(ge=0, le=180)]
    zoom: Annotated[float, Field(ge=0, lt=1)]
    shift: Annotated[float, Field(ge=0, lt=1)]


class ImagePreprocess(Preprocess):
    """Images are brought to `height` x `width` pixels and `channels` 1 (grey) or 3 (colour)."""

    height: Positive
    width: Positive
    channels: Literal[1, 3]
    augment: ImageAugment


class ImageBaseline(SettingsBase):
    regularization: Annotated[float, Field(gt=0)]


class ImageTrain(Training):
    """`filters` has an entry for each convolution block (cnn) or each stage of residual blocks (resnet)."""

    architecture: Literal["mlp", "cnn", "resnet"]
    filters: Annotated[tuple[Positive, ...], Field(min_length=1)]
    kernel: Positive


class ImageSettings(AnySettings):
    modality: Literal["image"]
    validate_: Annotated[ImageValidate, Field(alias="validate")]
    preprocess: ImagePreprocess
    baseline: ImageBaseline
    train: ImageTrain
