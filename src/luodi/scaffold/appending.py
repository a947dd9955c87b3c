"""Append the block of a new model to params.yaml, every byte before it left as it is."""

import codecs
import re
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from luodi import config, yaml12
from luodi.errors import ParamsError
from luodi.project.paths import PARAMS
from luodi.scaffold import pipeline
from luodi.terminal import visible

EMPTY = re.compile(r"^models:[ \t]*\{[ \t]*\}(?=[ \t]*(#.*)?$)", re.MULTILINE)
"""Of a project that has no model yet."""


def extended(path: Path, name: str, block: dict[str, Any], staging: Path) -> bytes:
    """Return the bytes of params.yaml with the block behind them, proven to add this model and change no other.

    Raises:
        ParamsError: The file is not laid out so that a block can be appended.
    """
    before = path.read_bytes()
    line_end = "\r\n" if b"\r\n" in before else "\n"
    text = EMPTY.sub("models:", before.decode("utf-8-sig").replace("\r\n", "\n"))
    after = text + "\n" * (not text.endswith("\n")) + "\n" + _render(name, block, _indent(text))
    draft = staging / PARAMS
    mark = before[: len(before) - len(before.removeprefix(codecs.BOM_UTF8))]
    draft.write_bytes(mark + after.replace("\n", line_end).encode())
    expected = config.load(path).models | config.parse({"models": {name: block}}, PARAMS).models
    try:
        same = config.load(draft).models == expected
    except ParamsError:
        same = False
    if not same:
        raise ParamsError(
            f"no block can be appended to {path}: expected a mapping `models:` in block style at its end; write it so"
        )
    return draft.read_bytes()


def _indent(text: str) -> int:
    """Spaces in front of the names of models."""
    first = next(iter(yaml12.parse(text)["models"] or ()), None)
    return yaml12.find(text, ["models", first])[1] - 1 if first else 2


def _render(name: str, block: dict[str, Any], indent: int) -> str:
    """The block as YAML, a line a setting; every text in quotes, so that no reader takes it for something else."""
    text = visible(pipeline.dump({name: _quoted(block)}), keep="\n")
    return "".join(" " * indent * (line != "\n") + line for line in text.splitlines(keepends=True))


def _quoted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _quoted(one) if key != "modality" else one for key, one in value.items()}
    if isinstance(value, list):
        flow = CommentedSeq(map(_quoted, value))
        flow.fa.set_flow_style()
        return flow
    return DoubleQuotedScalarString(value) if isinstance(value, str) else value
