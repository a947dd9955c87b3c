"""Entries of dvc.lock as plain values: read, pick one model's, put them into another lock."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luodi import yaml12
from luodi.errors import ArtifactError
from luodi.files import write_text
from luodi.terminal import shown

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
        whole = yaml12.parse(text, strict=False)
    except yaml12.Unfit as error:
        raise _strange(where, f"it {error}") from None
    entries = whole.get("stages") if isinstance(whole, dict) else whole
    if entries is None:
        return {}
    if not isinstance(entries, dict):
        raise _strange(where, "it holds no stages")
    for name, entry in entries.items():
        if not _is_entry(entry, "@" in name):
            raise _strange(where, f"{shown(name, 100)} is no entry")
    return entries


def _is_entry(entry: Any, of_model: bool) -> bool:
    """Whether it is a mapping; of a model's stage, one of files with their hashes."""
    if not isinstance(entry, dict) or not of_model:
        return isinstance(entry, dict)
    parts = [entry.get(name, []) for name in ("deps", "outs")]
    return all(isinstance(part, list) for part in parts) and all(
        isinstance(one, dict) and {"path", "md5"} <= one.keys() for part in parts for one in part
    )


def _strange(where: str, reason: str) -> ArtifactError:
    return ArtifactError(
        f"{where} is not a dvc.lock ({reason}): restore it with `git checkout HEAD -- dvc.lock`, or "
        "remove it, if that commit is no better: `dvc repro` makes it again"
    )


def write(path: Path, entries: Entries) -> None:
    """Write a dvc.lock as DVC lays it out, sorted by stage, so that merges touch few lines."""
    body = {"schema": "2.0", "stages": {name: entries[name] for name in sorted(entries)}}
    write_text(path, yaml12.dump(body))


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


def params(entries: Entries, stage: str) -> dict[str, Any]:
    """Return the settings that a stage ran with: "models.reviews.train" -> values; empty if it never ran.

    Of a version registered before there was a params.lock: what its params.yaml said, which held every setting then.
    """
    recorded = _recorded(entries, stage)
    return {**recorded.get("params.yaml", {}), **recorded.get("params.lock", {})}


def code(entries: Entries, stage: str) -> dict[str, Any]:
    """Return which code a stage ran with: its fingerprint; of an older version the hashes of luodi's files."""
    deps = entries.get(stage, {}).get("deps", ())
    files = {dep["path"]: dep["md5"] for dep in deps if dep["path"].startswith("src/luodi/")}
    return {**files, **_recorded(entries, stage).get("luodi.lock", {})}


def libraries(entries: Entries, stage: str) -> dict[str, str]:
    """Return the versions of the libraries that a stage ran with, of those that decide its bytes."""
    fingerprints = _recorded(entries, stage).get("luodi.lock", {}).values()
    known = [found for found in fingerprints if isinstance(found, dict)]
    return {name: str(version) for found in known for name, version in found.items() if name != "code"}


def _recorded(entries: Entries, stage: str) -> dict[str, dict[str, Any]]:
    found = entries.get(stage, {}).get("params", {})
    return {file: values for file, values in found.items() if isinstance(values, dict)}
