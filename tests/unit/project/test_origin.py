"""Which origin the variables name, where an Airflow has one project and where it has several."""

from pathlib import Path

import pytest

from luodi.errors import NotARepository
from luodi.project.origin import Origin


def test_each_project_of_an_airflow_has_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "LUODI_HOME": str(tmp_path), "LUODI_GIT_URL": "ssh://git@example.com/one.git", "LUODI_DVC_REMOTE": "s3://one/x",
        "LUODI_GIT_BRANCH": "land", "LUODI_SHOP_GIT_URL": "ssh://git@example.com/shop.git",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert Origin.from_environment() == Origin("ssh://git@example.com/one.git", "land", "s3://one/x", tmp_path)
    # Neither the branch nor the remote of another project: rows and tags would get there.
    assert Origin.from_environment("shop") == Origin(
        "ssh://git@example.com/shop.git", "main", None, tmp_path / "projects" / "shop"
    )
    with pytest.raises(NotARepository, match="LUODI_WEB_GIT_URL is not set"):
        Origin.from_environment("web")


def test_what_luodi_starts_has_one_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    origin = Origin.embedded(tmp_path)
    for name, value in origin.environment().items():
        monkeypatch.setenv(name, value)
    assert Origin.from_environment("shop") == origin
