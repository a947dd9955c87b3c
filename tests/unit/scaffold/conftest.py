"""A checkout without data, and files beside it."""

from pathlib import Path
from typing import Any

import pytest

from luodi.files import folder_checksum
from luodi.project import programs

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout without data; `dvc add data` is faked: it writes the pointer."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (folder / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())

    def dvc(runner: Any, where: Path, *arguments: Any) -> None:
        assert arguments == ("add", "data")
        found = folder_checksum(where / "data")
        (where / "data.dvc").write_text(f"outs:\n- md5: {found}\n  path: data\n")

    monkeypatch.setattr(programs, "dvc", dvc)
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Write a file beside the checkout and return its path."""

    def writer(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return writer
