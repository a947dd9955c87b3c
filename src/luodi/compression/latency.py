"""The time that candidates take: a property of the machine, beside the outputs that DVC tracks, and on the card.

It names the export that it was measured with, so that what an earlier run left is told of no other model.
"""

from collections.abc import Mapping
from typing import Any

from luodi.files import folder_checksum, read_facts, write_facts
from luodi.project.paths import ModelPaths


def write(paths: ModelPaths, milliseconds: Mapping[str, Mapping[str, float]]) -> None:
    """Write "ms" and "uncompressed_ms" of candidates by their names, beside the export that was taken."""
    write_facts(paths.candidates_latency, {"candidates": milliseconds, "export": folder_checksum(paths.compressed)})


def read(paths: ModelPaths) -> dict[str, Any]:
    """Return {"candidates": what was written}; nothing where it was not measured here, or with another export."""
    if not paths.candidates_latency.exists() or not paths.compressed.exists():
        return {}
    found = read_facts(paths.candidates_latency)
    return {"candidates": found["candidates"]} if found["export"] == folder_checksum(paths.compressed) else {}
