"""luodi.lock: what counts as other code, and what a project of another luodi is told."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi import __version__, syntax
from luodi.config import MODALITIES
from luodi.errors import StaleProject
from luodi.project import fingerprints

ROOT = Path(__file__).resolve().parents[3]

CODE = '''\
"""A module."""

import os

SIZE = 3
"""What it is."""


def one(x: int) -> int:
    """Return it."""
    return x + SIZE if x else 0
'''


def digest(code: str) -> str:
    return "\n".join(syntax.plain(ast.parse(code)))


@pytest.mark.parametrize(
    "same",
    [
        CODE.replace("A module.", "Another word."),
        CODE.replace('    """Return it."""\n', ""),
        CODE.replace('"""What it is."""\n', ""),
        CODE.replace("import os", "import os  # for the world"),
        CODE.replace("x + SIZE", "(x + SIZE)"),
        CODE.replace("\n\n\n", "\n"),
        CODE.replace("3", "0x3"),
    ],
)
def test_what_changes_nothing_is_the_same_code(same: str) -> None:
    assert same != CODE
    assert digest(same) == digest(CODE)


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("3", "4"),
        CODE.replace("3", "3.0"),
        CODE.replace("3", "'3'"),
        CODE.replace("x + SIZE", "SIZE + x"),
        CODE.replace("def one", "def two"),
        CODE.replace("x: int", "x: float"),
        CODE.replace("import os", "import sys"),
        CODE.replace("if x else 0", "if x else 1"),
        CODE + "one(1)\n",
        CODE.replace("    return x", "    x += 1\n    return x"),
    ],
)
def test_what_may_change_something_is_other_code(other: str) -> None:
    assert other != CODE
    assert digest(other) != digest(CODE)


@given(st.text(max_size=20), st.text(max_size=20))
def test_texts_that_differ_are_other_code(one: str, other: str) -> None:
    """Whatever they hold: no text of a program can look like a part of another one."""
    first, second = (digest(f"x = {text!a}") for text in (one, other))
    assert (first == second) == (one == other)


def interpreter(version: str) -> str:
    """A Python of that version, wherever it is installed."""
    found: list[Any] = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    for one in filter(None, found):
        done = subprocess.run(
            [one, "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=False
        )
        if done.stdout.startswith(version):
            return str(one)
    pytest.skip(f"there is no Python {version} here")


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_it_is_the_same_in_every_python(version: str, tmp_path: Path) -> None:
    """A laptop and a worker may have another one. It reads the same files, and needs no library for that."""
    python = interpreter(version)
    shutil.copy2(syntax.__file__, tmp_path)
    (tmp_path / "alone.py").write_text(
        "import ast, sys\nfrom syntax import digest\n"
        "for path in sys.argv[1:]:\n    print(digest({path: ast.parse(open(path, 'rb').read())}))\n"
    )
    files = sorted(map(str, (ROOT / "src" / "luodi").rglob("*.py")))
    said = [
        subprocess.run([one, tmp_path / "alone.py", *files], check=True, capture_output=True, text=True).stdout
        for one in (sys.executable, python)
    ]
    assert said[0] == said[1]
    assert len(said[0].split()) == len(files)


def test_a_modality_counts_its_own_files_alone() -> None:
    for modality, other in (("text", "image"), ("image", "text")):
        for stage in fingerprints.STAGES:
            counted = fingerprints.closure(f"luodi.stages.{stage}", modality)
            assert not [name for name in counted if other in name.split(".")]
        assert f"luodi.nets.{modality}.mlp" in fingerprints.closure("luodi.stages.train", modality)


def test_every_library_that_a_stage_imports_counts() -> None:
    """Those that decide no byte are named here, so that a new one is thought of."""
    beside = {"luodi", "pydantic", "threadpoolctl", "jinja2", "yaml", "psutil", "torch", "jax", "fsspec",
              "sqlalchemy"}  # fmt: skip
    for modality in MODALITIES:
        for stage in fingerprints.STAGES:
            for name in fingerprints.closure(f"luodi.stages.{stage}", modality):
                imported = {one.partition(".")[0] for one in fingerprints.imports(name)}
                assert imported - sys.stdlib_module_names <= fingerprints.LIBRARIES.keys() | beside, name


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "luodi.lock", tmp_path / "luodi.lock")
    return tmp_path


def test_a_project_of_this_luodi_is_taken(project: Path) -> None:
    fingerprints.require_current(project, "train", "text")
    fingerprints.require_current(project, "settings")
    assert not fingerprints.write(project)


def change(project: Path, before: str, after: str) -> None:
    text = (project / "luodi.lock").read_text(encoding="utf-8")
    assert before in text
    (project / "luodi.lock").write_text(text.replace(before, after), encoding="utf-8")


def test_another_library_is_named(project: Path) -> None:
    change(project, "keras: '3.15.1'", "keras: '3.14.0'")
    with pytest.raises(StaleProject, match=r"another train than is installed \(keras 3\.14\.0 there, 3\.15\.1 here; "):
        fingerprints.require_current(project, "train", "text")
    fingerprints.require_current(project, "evaluate", "text")  # which does not use it


def test_other_code_names_both_versions(project: Path) -> None:
    code = fingerprints.stage("train", "text")["code"]
    change(project, code, "0" * 32)
    change(project, f"luodi: '{__version__}'", "luodi: '0.0.9'")
    with pytest.raises(
        StaleProject, match=r"other code; written by luodi 0\.0\.9, running 0\.2\.0\): .* `luodi upgrade`"
    ):
        fingerprints.require_current(project, "train", "text")
    assert fingerprints.write(project)
    fingerprints.require_current(project, "train", "text")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist: restore it .* or write it with `luodi upgrade`"),
        (b"", "expected a mapping `stages:`"),
        (b"luodi: '0.2.0'\n", "expected a mapping `stages:`"),
        (b"stages: [", "is not YAML"),
        (b"stages: {text: {}}", "names another train than is installed .it names none"),
        (b"stages: {}", "it names none"),
        (b"\xff\xfe", "luodi.lock"),
    ],
)
def test_a_lock_file_that_is_none(project: Path, content: bytes | None, message: str) -> None:
    path = project / "luodi.lock"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StaleProject, match=message) as caught:
        fingerprints.require_current(project, "train", "text")
    assert "\n" not in str(caught.value)
