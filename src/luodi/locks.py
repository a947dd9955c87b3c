"""Entries of dvc.lock as plain values: read, pick one model's, put them into another lock."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from luodi.errors import ArtifactError
from luodi.files import write_text

Entries = Mapping[str, Any]
"""From `STAGE@MODEL` to its entry: cmd, deps, params, outs, with their hashes."""


def read(path: Path) -> dict[str, Any]:
    """Return the entries of a dvc.lock; none if the file does not exist."""
    return parse(path.read_text(encoding="utf-8", errors="surrogateescape"), str(path)) if path.exists() else {}


def parse(text: str, where: str) -> dict[str, Any]:
    """Return the entries in the text of a dvc.lock; `where` names it in the error.

    Raises:
        ArtifactError: It is not a dvc.lock (a merge conflict left in it, say).
    """
    try:
        entries = dict((yaml.safe_load(text) or {}).get("stages") or {})
        if strange := [name for name, entry in entries.items() if not isinstance(entry, dict)]:
            raise ValueError(f"{strange[0]} is no entry")
        return entries
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ArtifactError(f"{where} is not a dvc.lock ({reason}): restore it with `git checkout`") from None


def write(path: Path, entries: Entries) -> None:
    """Write a dvc.lock as DVC lays it out, sorted by stage, so that merges touch few lines."""
    body = {"schema": "2.0", "stages": {name: entries[name] for name in sorted(entries)}}
    write_text(path, yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=10**9))


def of_model(entries: Entries, model: str) -> dict[str, Any]:
    """Return the entries of one model's stages."""
    return {name: entry for name, entry in entries.items() if name.partition("@")[2] == model}


def merge(entries: Entries, model: str, mine: Entries) -> dict[str, Any]:
    """Return `entries` with those of `model` replaced by `mine`; other models' stay as they are."""
    others = {name: entry for name, entry in entries.items() if name.partition("@")[2] != model}
    return others | of_model(mine, model)


def outputs(entries: Entries, stage: str) -> dict[str, str]:
    """Return path -> MD5 (`.dir` at the end for a folder) of a stage's outputs; empty if it never ran."""
    return {out["path"]: out["md5"] for out in entries.get(stage, {}).get("outs", ())}
