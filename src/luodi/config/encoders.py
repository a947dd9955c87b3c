"""encoders.yaml: the pretrained encoders of a project and what is known of them; `luodi encoder add` writes it.

It is in git. An encoder itself lies in data/encoders/NAME, which DVC tracks with the other data; its hash, which stands
here, goes into params.lock beside its name, so that a model is trained anew where its encoder is another one.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from luodi import yaml12
from luodi.config.shared import Line, Name, Positive, SettingsBase
from luodi.config.user_code import RECORD
from luodi.errors import ParamsError, UnknownKey, did_you_mean

NAME = RECORD
HEAD = "# The pretrained encoders in data/encoders; written by `luodi encoder add`. Do not edit it; commit it.\n"


class Recorded(SettingsBase):
    """What is known of an encoder.

    Attributes:
        md5: Of its folder, as DVC counts it.
        weights: How many numbers its tensors hold.
        width: Values of a vector.
        length: Tokens that it reads of a text.
        pad: The id that fills up a row.
    """

    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}\.dir$")]
    licence: Line
    family: Line
    size_bytes: Positive
    weights: Positive
    width: Positive
    length: Positive
    pad: Annotated[int, Field(ge=0)]
    pooling: Literal["mean", "cls"]


class Encoders(SettingsBase):
    encoders: dict[Name, Recorded]


def read(root: Path) -> dict[str, Recorded]:
    """Return the encoders of a project by their names; none without the file.

    Raises:
        ParamsError: It is not what `luodi encoder add` wrote.
    """
    path = root / NAME
    if not path.exists():
        return {}
    try:
        return Encoders.model_validate(yaml12.parse(yaml12.read(path))).encoders
    except (yaml12.Unfit, ValidationError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ParamsError(
            f"{path} is not what luodi wrote ({why}): restore it with `git checkout HEAD -- {NAME}`"
        ) from None


def of(root: Path, name: str) -> Recorded:
    """Return what is known of an encoder.

    Raises:
        UnknownKey: The project has no such encoder.
    """
    known = read(root)
    if name not in known:
        raise UnknownKey(
            f"train.encoder: {NAME} has no encoder {name!r}{did_you_mean(name, known)}: `luodi encoder list` "
            "lists those that there are, `luodi encoder add DIR` adds one"
        )
    return known[name]


def text(known: dict[str, Recorded]) -> str:
    """Return the content of encoders.yaml."""
    return HEAD + yaml12.dump(Encoders(encoders=known).model_dump(mode="json"))
