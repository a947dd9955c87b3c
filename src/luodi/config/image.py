"""The settings of an image model, with defaults that train in minutes on two cores."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from luodi.config.fields import OF_TWO_LABELS, Contradictions, Line, Name, Positive, SettingsBase, Share, Strengths
from luodi.config.shared import Baseline, Preprocess, Split, Training, other_defaults, require_encoder, require_unseen
from luodi.config.tuning import TunableSettings
from luodi.config.user_code import ObjectName, SuiteName


def _one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"expected a regular expression with one group in parentheses, found {groups}")
    return pattern


class ImageValidate(SettingsBase):
    min_rows: Positive = Field(100, description="fewest rows of all data")
    min_side: Positive = Field(8, description="pixels")
    max_side: Positive = Field(4096, description="pixels")
    min_contrast: Share = Field(
        0.02, description="standard deviation of intensity, 0 to 1; below it an image is nearly constant"
    )
    max_duplicate_share: Share = Field(0.05, description="of all rows that repeat an earlier one")
    max_near_duplicate_share: Share = Field(0.3, description="of all rows that nearly repeat an earlier one")
    max_contradictions: Annotated[int, Field(ge=0)] = Field(10, description="images that carry more than one label")
    contradictions: Contradictions = Field("drop", description=OF_TWO_LABELS)
    min_class_share: Share = Field(0.001, description="of all rows that each class has")
    min_intensity: Share = Field(0.05, description="mean over all images, 0 to 1")
    max_intensity: Share = Field(0.95, description="mean over all images, 0 to 1")
    max_quarantined_share: Share = Field(0.02, description="of all rows; more stops the run")
    expectations: tuple[SuiteName, ...] = Field(
        (), description="of your own, each MODULE:FUNCTION, or FILE.json, a suite of Great Expectations"
    )

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.min_side > self.max_side:
            raise ValueError(f"min_side {self.min_side} is above max_side {self.max_side}")
        if self.min_intensity > self.max_intensity:
            raise ValueError(f"min_intensity {self.min_intensity} is above max_intensity {self.max_intensity}")
        return self


class ImageAugment(SettingsBase):
    """Random changes of a train image each time it is seen."""

    flip: Literal["none", "horizontal", "vertical", "both"] = Field(
        "none", description="mirror half of the images left to right, top to bottom, or either way"
    )
    rotation: Annotated[float, Field(ge=0, le=180)] = Field(10, description="largest turn, degrees")
    zoom: Annotated[float, Field(ge=0, lt=1)] = Field(0.1, description="largest change of scale, a share of it")
    shift: Annotated[float, Field(ge=0, lt=1)] = Field(0.05, description="largest move, a share of each side")


class ImageSplit(Split):
    pattern: Annotated[Line, AfterValidator(_one_group)] | None = Field(
        None,
        description="a regular expression with one group, searched in the path of an image as it was added: images of "
        "which the group is the same stand in one split",
    )


class ImagePreprocess(Preprocess):
    split: ImageSplit = Field(ImageSplit(), description="which images stand together")
    height: Positive = Field(32, description="pixels that images are brought to")
    width: Positive = Field(32, description="pixels that images are brought to")
    channels: Literal[1, 3] = Field(3, description="1 grey, 3 colour")
    augment: ImageAugment = ImageAugment()


class ImageBaseline(Baseline):
    regularization: Strengths = Field(
        (0.01, 0.1, 1.0, 10.0), description="values of C tried, from the least on until the validation loss rises"
    )


TUNED: Mapping[str, Mapping[str, Any]] = {
    "full": {"batch_size": 32, "warmup": 0.1, "clip_norm": 1.0, "learning_rate": 0.0003, "epochs": 5}
}
"""Defaults of `train` where a stem is trained on."""


class ImageTrain(Training):
    architecture: Literal["mlp", "cnn", "resnet", "linear", "pretrained"] | ObjectName = Field(
        "cnn", description="see `luodi architectures`; or MODULE:FUNCTION of your own"
    )
    encoder: Name | None = Field(None, description="one of `luodi encoder list` (pretrained)")
    tuning: Literal["frozen", "full"] = Field(
        "frozen",
        description="what is trained of the encoder (pretrained): frozen: nothing; full: all of it but its batch norm, "
        "with other defaults of learning_rate, warmup, clip_norm, batch_size and epochs, which params.lock shows",
    )
    all_rows: bool = Field(
        True,
        description="fit the linear model once more, on train and validation rows together, when these have chosen and "
        "judged it (pretrained, frozen); false where `compress` judges by them",
    )
    filters: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        (32, 64), description="channels of each convolution block (cnn) or stage of residual blocks (resnet)"
    )
    kernel: Positive = Field(3, description="pixels that a convolution sees")
    units: Positive = Field(128, description="width of the hidden layer")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.2, description="share of inputs dropped in training")
    learning_rate: Annotated[float, Field(gt=0)] = Field(0.003, description="of the optimizer, at first")
    decay: Literal["none", "cosine"] = Field(
        "cosine", description="cosine: the learning rate falls to zero over all epochs, along half a cosine"
    )
    batch_size: Positive = Field(64, description="rows of a step")
    epochs: Positive = Field(20, description="rounds over the train rows, at most")
    patience: Positive = Field(20, description="epochs without a better validation loss before training stops")

    @model_validator(mode="before")
    @classmethod
    def _other_defaults(cls, given: Any) -> Any:
        return other_defaults(cls, given, TUNED)


class ImageSettings(TunableSettings):
    modality: Literal["image"] = Field(description="text or image")
    validate_: ImageValidate = Field(ImageValidate(), alias="validate")
    preprocess: ImagePreprocess = ImagePreprocess()
    baseline: ImageBaseline = ImageBaseline()
    train: ImageTrain = ImageTrain()

    @property
    def pixels(self) -> int:
        """Of an image."""
        return self.preprocess.height * self.preprocess.width

    @model_validator(mode="after")
    def _encoder_used(self) -> Self:
        require_encoder(self.train)
        require_unseen(self)
        if self.train.encoder and self.train.precision != "float32":
            raise ValueError(
                f"train.precision {self.train.precision} is not for a pretrained encoder of images: set it to float32"
            )
        return self
