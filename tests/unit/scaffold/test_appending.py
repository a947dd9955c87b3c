"""A block of a model behind those in params.yaml."""

from pathlib import Path

import pytest

from luodi import config
from luodi.scaffold import appending


@pytest.mark.parametrize("before", [b"models: {}\n", b"# ours\nmodels:\n  books: {modality: text, labels: [a, b]}\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_the_file_keeps_its_line_ends_and_its_mark(before: bytes, mark: bytes, line_end: bytes, tmp_path: Path) -> None:
    path, staging = tmp_path / "params.yaml", tmp_path / "staging"
    staging.mkdir()
    path.write_bytes(mark + before.replace(b"\n", line_end))
    path.write_bytes(after := appending.extended(path, "more", {"modality": "text", "labels": ["c", "d"]}, staging))
    assert after.startswith(mark)
    assert after.count(b"\n") == after.count(line_end) > before.count(b"\n")
    assert "more" in config.load(path).models
