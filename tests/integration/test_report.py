"""`luodi report`: of a checkout, of a version, and of both side by side."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from actors import World, git


@pytest.fixture
def checkout(one: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in one.origin.environment().items():
        monkeypatch.setenv(name, value)
    git(tmp_path, "clone", "--quiet", "--no-tags", one.origin.git, str(tmp_path / "checkout"))
    return tmp_path / "checkout"


def test_a_version_and_what_differs_from_another(checkout: Path, one: World, luodi: Callable[..., Any]) -> None:
    one.land("quick", "best")
    done = luodi(checkout, "report", "quick@production", "--compare", "quick@v1.0.0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# quick@v1.0.1\n\n## What differs from quick@v1.0.0\n")
    assert "## Validation" in done.stdout
    assert "## Evaluation" in done.stdout
    told = json.loads(luodi(checkout, "report", "quick@v1.0.1", "--compare", "quick@v1.0.0", "--format", "json").stdout)
    assert (told["name"], told["compared_to"]["name"]) == ("quick@v1.0.1", "quick@v1.0.0")
    page = luodi(checkout, "report", "quick@v1.0.1", "--format", "html").stdout
    assert "<h1>quick@v1.0.1</h1>" in page


def test_a_checkout_where_nothing_was_made_says_what_to_do(checkout: Path, luodi: Callable[..., Any]) -> None:
    done = luodi(checkout, "report", "quick")
    assert done.returncode == 30, done.stderr
    assert "holds neither a validation nor an evaluation: run `dvc repro` first" in done.stderr
    assert luodi(checkout, "report", "quik").returncode == 11
    assert luodi(checkout, "report", "quick@v9.9.9").returncode == 61
