"""Reading params.yaml: an unknown key or a wrong value is an error that says what to write."""

import difflib
import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter, ValidationError

from luodi import yaml12
from luodi.config.fields import Language, Name, SettingsBase
from luodi.config.image import ImageSettings
from luodi.config.text import TextSettings
from luodi.errors import ParamsError, UnknownKey, WrongValue, did_you_mean
from luodi.files import write_text
from luodi.terminal import shown

ModelSettings = TextSettings | ImageSettings
MODALITIES: dict[str, type[ModelSettings]] = {"text": TextSettings, "image": ImageSettings}


OWN = "constrained-str"  # what pydantic calls `ObjectName` among the members of a union


class Params(SettingsBase):
    language: Language = Field(
        "en",
        description="of the pages that people read, en or zh; those in artifacts/, which DVC holds by their hash, are "
        "English",
    )
    models: dict[Name, Annotated[ModelSettings, Field(discriminator="modality")]]


def load(path: Path) -> Params:
    """Read params.yaml.

    Raises:
        ParamsError: The file is missing, not UTF-8, not YAML, holds a key twice, or too much; see `luodi.yaml12`.
        UnknownKey: A key is not known; the message suggests the near one.
        WrongValue: A value is missing, of a wrong type, or out of range.
    """
    text = _text(path)
    return _checked(_values(text, path), path.name, text)


def read(path: Path) -> Any:
    """Return params.yaml as it stands, unchecked: keys and values in their order. Raises ParamsError as `load` does."""
    return _values(_text(path), path)


def change(path: Path, model: str, blocks: Mapping[str, Mapping[str, Any]]) -> None:
    """Write values into blocks of a model in params.yaml, without its comments: for a copy that nobody keeps.

    Nothing is searched there: what is tried is tried as it stands.

    Raises as `load` does, of what is written too.
    """
    settings_of(load(path), model)
    raw = read(path)
    raw["models"][model].pop("tune", None)
    for block, values in blocks.items():
        raw["models"][model][block] = {**(raw["models"][model].get(block) or {}), **values}
    write_text(path, yaml12.dump(raw))
    load(path)


def parse(raw: Any, where: str) -> Params:
    """Check the content of params.yaml; `where` names it in messages. Raises as `load` does."""
    return _checked(raw, where, "")


def _text(path: Path) -> str:
    try:
        return yaml12.committed(path)
    except yaml12.Unfit as error:
        raise ParamsError(f"{path} {error}") from None


def _values(text: str, path: Path) -> Any:
    try:
        return yaml12.parse(text)
    except yaml12.Unfit as error:
        raise ParamsError(f"{path} {error}") from None


def _checked(raw: Any, where: str, text: str) -> Params:
    try:
        return Params.model_validate_json(_as_json(raw, where))
    except ValidationError as error:
        raise _first_error(error, where, text) from None


def settings_of(params: Params, name: str) -> ModelSettings:
    """Return the block of model `name`, or raise UnknownKey with the near name."""
    if name in params.models:
        return params.models[name]
    if not params.models:
        raise UnknownKey(f"no model '{shown(name, 100)}' in params.yaml, which has none yet: `luodi add` adds one")
    raise UnknownKey(f"no model '{shown(name, 100)}' in params.yaml{_suggest(name, params.models)}")


def require_name(name: str, of: str = "a model") -> None:
    """Raise WrongValue unless `name` can be a key of `models:`, or the name of another thing that is called so."""
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise WrongValue(
            f"'{shown(name, 100)}' cannot name {of}: expected lower-case letters, digits, - and _, at most 100, "
            "with a letter first and no - or _ last, and no word of YAML such as on"
        ) from None


def _as_json(raw: Any, where: str) -> str:
    # JSON mode is strict about scalars ("3" is no number) yet takes lists for tuples.
    import json

    try:
        return json.dumps(raw, default=str, ensure_ascii=False).encode("utf-8", "replace").decode()
    except (TypeError, ValueError, RecursionError) as error:  # not from a file: a date as a key, a list in itself
        raise ParamsError(f"{where} cannot be used: {error}") from None


def _first_error(error: ValidationError, where: str, text: str) -> ParamsError:
    # A misspelt key is also a missing one: the spelling is what helps.
    errors = [one for one in error.errors() if OWN not in one["loc"][-1:]]
    first = min(errors, key=lambda one: one["type"] != "extra_forbidden")
    own = str((first["loc"] or ("",))[-1]).startswith("literal[")  # or the name of an object of one's own: a union
    loc: list[Any] = [part for part in first["loc"][: -1 if own else None] if part != "[key]"]
    modality = loc.pop(2) if loc[:1] == ["models"] and len(loc) > 2 else None  # pydantic names the union's member
    place = ".".join(shown(part, 100) for part in loc) or "the whole file"
    where += f", line {yaml12.find(text, loc)[0]}" if text and loc else ""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return _modality_error(first["input"], where, place, more)
    if first["type"] == "extra_forbidden":
        known = _known_keys(MODALITIES[modality], loc[2:-1]) if modality else list(Params.model_fields)
        return UnknownKey(f"{where}: unknown key {place}{_suggest(loc[-1], known)}{more}")
    if first["type"] == "missing":
        return WrongValue(f"{where}: {place} is missing{more}")
    found = ", or MODULE:OBJECT of your own" if own else ""
    found += f", found {reprlib.repr(first['input'])}" if not isinstance(first["input"], dict) else ""
    near = ""
    if first["type"] == "literal_error":
        near = did_you_mean(str(first["input"]), re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    return WrongValue(f"{where}: {place}: {first['msg'].removeprefix('Value error, ')}{found}{near}{more}")


def _modality_error(block: dict[str, Any], where: str, place: str, more: str) -> ParamsError:
    expected = f"expected {' or '.join(MODALITIES)}"
    if "modality" in block:
        return WrongValue(f"{where}: {place}.modality: {expected}, found {reprlib.repr(block['modality'])}{more}")
    if misspelt := difflib.get_close_matches("modality", block, n=1):
        return UnknownKey(f"{where}: unknown key {place}.{misspelt[0]}; did you mean 'modality'?{more}")
    return WrongValue(f"{where}: {place}.modality is missing: {expected}{more}")


def _known_keys(kind: Any, parents: list[str]) -> list[str]:
    """Keys allowed below `parents` in a block of `models:`, by walking its classes."""
    for part in parents:
        known = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
        kind = known.get(part, kind)  # a key of a mapping is none
        kind = next((one for one in get_args(kind) if hasattr(one, "model_fields")), kind)  # of a block that may be off
    return [field.alias or name for name, field in kind.model_fields.items()]


def _suggest(key: str, known: Any) -> str:
    return did_you_mean(key, known) or f"; known: {', '.join(known)}"
