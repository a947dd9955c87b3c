"""Where a model may be pulled to: what an earlier pull did not make stays as it is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from luodi.errors import LuodiError, RegistryError
from luodi.local import delivery
from luodi.project.origin import Origin
from luodi.registry.tags import Version
from luodi.system.processes import Runner

VERSION = Version("reviews", "v1.0.0", "0" * 40, datetime(2026, 1, 31, tzinfo=UTC), "Ann", None, {"export": "x"})


@pytest.fixture
def pull(tmp_path: Path) -> Callable[..., Any]:
    origin = Origin(str(tmp_path / "nowhere"), "main", None, tmp_path / "home")
    return lambda folder: delivery.deploy(origin, VERSION, folder, Runner(print))


OURS = '{"version": "reviews@v1.0.0"}'


@pytest.mark.parametrize(
    "files",
    [
        {"version.json": '{"version": "1.2.3"}', "src.js": "mine"},
        {"version.json": OURS, "src.js": "mine"},
        {"version.json": OURS, "notes/a.txt": "mine"},
        {"version.json": OURS, "card.md/mine.txt": "a folder of that name"},
        {"version.json": '{"version": "1.2.3"}'},
        {"version.json": '{"version": "reviews@v1.0.0-rc1"}'},
        {"version.json": '{"version": "@v1.0.0"}'},
        {"version.json": '{"version": ["reviews@v1.0.0"]}'},
        {"version.json": '["reviews@v1.0.0"]'},
        {"version.json": "{"},
        {"version.json": b"\xff"},
        {"version.json/mine.txt": "a folder"},
        {"model.onnx": "mine"},
    ],
)
def test_anything_else_is_refused_and_stays(files: dict[str, Any], pull: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "web"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(LuodiError, match="holds something else than a pulled model"):
        pull(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_file_in_the_way_is_refused(pull: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(LuodiError, match="holds something else"):
        pull(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(("facts", "found"), [({}, 1), ({"format": 2}, 2), ({"format": "x"}, 1), ({"format": True}, 1)])
def test_facts_that_name_no_format_are_of_the_first(facts: dict[str, Any], found: int) -> None:
    assert replace(VERSION, facts=facts).format == found


def test_what_a_newer_luodi_registered_is_left_to_it(tmp_path: Path) -> None:
    origin = Origin(str(tmp_path / "nowhere"), "main", None, tmp_path / "home")
    newer = replace(VERSION, facts={"export": "x", "format": 3})
    with pytest.raises(
        RegistryError, match=r"^reviews@v1\.0\.0 was registered by a newer luodi: .* format 3, .* up to 2"
    ):
        delivery.deploy(origin, newer, tmp_path / "folder", Runner(print))
    assert not (tmp_path / "folder").exists()
