"""encoders.yaml: the pretrained encoders of a project and what is known of them; `luodi encoder add` writes it.

It is in git. An encoder itself lies in data/encoders/NAME, which DVC tracks with the other data; its hash, which stands
here, goes into params.lock beside its name, so that a model is trained anew where its encoder is another one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError

from luodi import yaml12
from luodi.config.fields import Line, Name, Positive, SettingsBase
from luodi.config.user_code import RECORD
from luodi.errors import ParamsError, UnknownKey, WrongValue, did_you_mean

NAME = RECORD
HEAD = "# The pretrained encoders in data/encoders; written by `luodi encoder add`. Do not edit it; commit it.\n"


class Recorded(SettingsBase):
    """What is known of an encoder.

    Attributes:
        md5: Of its folder, as DVC counts it.
        size_bytes: Of what of it a model on it has.
        weights: How many numbers its tensors hold.
        width: Values of a vector.
    """

    modality: ClassVar[str]

    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}\.dir$")]
    licence: Line
    family: Line
    size_bytes: Annotated[int, Field(gt=0)]
    weights: Annotated[int, Field(gt=0)]
    width: Positive

    @property
    def reads(self) -> str:
        """What goes in, for a person."""
        raise NotImplementedError


class TextEncoder(Recorded):
    """An encoder of texts.

    Attributes:
        length: Tokens that it reads of a text.
        pad: The id that fills up a row.
    """

    modality: ClassVar[str] = "text"
    length: Positive
    pad: Annotated[int, Field(ge=0)]
    pooling: Literal["mean", "cls", "last"]

    @property
    def reads(self) -> str:
        return f"{self.pooling} of {self.length:,} tokens"


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # a list is none to strict settings


class ImageEncoder(Recorded):
    """The stem of a network of images.

    Attributes:
        channels: 1 grey, 3 colour.
        size: Pixels, height and width; None is any.
    """

    modality: ClassVar[str] = "image"
    channels: Literal[1, 3]
    size: Annotated[tuple[Positive, Positive] | None, BeforeValidator(_pair)]

    @property
    def reads(self) -> str:
        sides = "{} x {} pixels".format(*self.size) if self.size else "any size"
        return f"{sides}, {'grey' if self.channels == 1 else 'colour'}"


Kind = TypeVar("Kind", bound=Recorded)


class Encoders(SettingsBase):
    encoders: dict[Name, TextEncoder | ImageEncoder]


def read(root: Path) -> dict[str, TextEncoder | ImageEncoder]:
    """Return the encoders of a project by their names; none without the file.

    Raises:
        ParamsError: It is not what `luodi encoder add` wrote.
    """
    path = root / NAME
    if not path.exists():
        return {}
    try:
        return Encoders.model_validate(yaml12.parse(yaml12.committed(path))).encoders
    except (yaml12.Unfit, ValidationError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ParamsError(
            f"{path} is not what luodi wrote ({why}): restore it with `git checkout HEAD -- {NAME}`"
        ) from None


def of(root: Path, name: str, kind: type[Kind]) -> Kind:
    """Return what is known of an encoder.

    Raises:
        UnknownKey: The project has no such encoder.
        WrongValue: It is not of that kind.
    """
    known = read(root)
    if name not in known:
        raise UnknownKey(
            f"train.encoder: {NAME} has no encoder {name!r}{did_you_mean(name, known)}: `luodi encoder list` "
            "lists those that there are, `luodi encoder add DIR` adds one"
        )
    found = known[name]
    if not isinstance(found, kind):
        raise WrongValue(
            f"train.encoder: {name} is an encoder of {found.modality}s, and the model is one of {kind.modality}s: "
            "`luodi encoder list` says which is which"
        )
    return found


def effective(root: Path, block: dict[str, Any]) -> str:
    """Return the encoder that a model's settings name and the hash of its content, proven to read its rows.

    Raises:
        UnknownKey: The project has no such encoder.
        WrongValue: It reads rows of another kind.
    """
    name, kind = block["train"]["encoder"], KINDS[block["modality"]]
    known = of(root, name, kind)
    if isinstance(known, ImageEncoder):
        _require_fit(name, known, block["preprocess"])
    return f"{name} {known.md5}"


KINDS: dict[str, type[Recorded]] = {kind.modality: kind for kind in (TextEncoder, ImageEncoder)}


def _require_fit(name: str, known: ImageEncoder, preprocess: dict[str, Any]) -> None:
    height, width = known.size or (preprocess["height"], preprocess["width"])
    wanted = {"height": height, "width": width, "channels": known.channels}
    if any(preprocess[key] != value for key, value in wanted.items()):
        given = ", ".join(f"{key}: {value}" for key, value in wanted.items())
        raise WrongValue(
            f"train.encoder: {name} reads images of {known.reads}, and preprocess makes others: set preprocess: "
            f"{{{given}}}"
        )


def text(known: Mapping[str, TextEncoder | ImageEncoder]) -> str:
    """Return the content of encoders.yaml."""
    return HEAD + yaml12.dump(Encoders(encoders=dict(known)).model_dump(mode="json"))
