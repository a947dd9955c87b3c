"""`luodi explain` at a terminal, for a program, and asked for what cannot be."""

import json
from pathlib import Path

import handmade
import images
import pytest
from typer.testing import CliRunner

from luodi.cli.commands import app
from luodi.data.modality import Encoder
from luodi.files import folder_checksum, write_json


def folder(root: Path, encoder: Encoder) -> str:
    """A folder as `luodi pull` leaves it."""
    handmade.make(root, encoder)
    export = folder_checksum(root)
    write_json(root / "version.json", {"version": "made@v1.0.0", "format": 2, "export": export})
    return f"{root}/"


def test_words_are_shown_with_what_they_add(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["explain", folder(tmp_path, handmade.ENCODER), "好书"])
    assert done.exit_code == 0
    version, text, *others = done.stdout.splitlines()
    assert version.split()[0] == "made@v1.0.0" and text.split() == ["text", "好书"]
    assert [line.split()[0] for line in others] == ["for", "against"]


def test_regions_are_shown_as_a_grid_and_told_in_json(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    picture = images.folder(tmp_path, {"a.png": images.png(1)}) / "a.png"
    command = ["explain", folder(tmp_path / "model", handmade.IMAGES), "--input", str(picture)]
    assert len(CliRunner().invoke(app, command).stdout.splitlines()) == 1 + 2  # of 2 x 3 regions
    told = json.loads(CliRunner().invoke(app, [*command, "--label", "yes", "--json"]).stdout)
    assert (told["label"], told["height"], told["width"], len(told["parts"])) == ("yes", 2, 3, 6)


def test_one_image_is_explained_not_the_first_of_many(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    pictures = images.folder(tmp_path, {name: images.png(1) for name in ("a.png", "b.png")})
    done = CliRunner().invoke(app, ["explain", folder(tmp_path / "model", handmade.IMAGES), "--input", str(pictures)])
    assert done.exit_code == 2 and "give one image" in done.output


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "give a text, or --input"),
        (["好", "--input", "a.png"], "give a text, or --input"),
        (["--input", "a.png"], "classifies texts: give a text"),
        (["好", "--label", "yess"], "did you mean 'yes'?"),
    ],
)
def test_what_cannot_be_explained_is_told(tmp_path: Path, asked: list[str], said: str) -> None:
    (tmp_path / "model").mkdir()
    done = CliRunner().invoke(app, ["explain", folder(tmp_path / "model", handmade.ENCODER), *asked])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_a_page_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    page = tmp_path / "why.html"
    done = CliRunner().invoke(
        app, ["explain", folder(tmp_path / "model", handmade.ENCODER), "好书", "--html", str(page)]
    )
    assert done.exit_code == 0
    assert "made@v1.0.0" in page.read_text(encoding="utf-8")
    picture = images.folder(tmp_path, {"a.png": images.png(1)}) / "a.png"
    (tmp_path / "other").mkdir()
    command = ["explain", folder(tmp_path / "other", handmade.IMAGES), "--input", str(picture), "--html", str(page)]
    assert CliRunner().invoke(app, [*command, "--lang", "zh"]).exit_code == 0
    assert page.read_text(encoding="utf-8").count("data:image/png") == 1
    assert "made@v1.0.0 为何回答" in page.read_text(encoding="utf-8")
