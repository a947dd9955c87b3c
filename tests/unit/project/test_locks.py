"""Lock entries: one model's are replaced, all others stay, and a broken dvc.lock is named."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from luodi.errors import ArtifactError
from luodi.project import locks

NAMES = st.sampled_from(["reviews", "reviews-2", "hotel", "评论", "a@b"])
ENTRY = st.fixed_dictionaries(
    {
        "cmd": st.text("luodi 评论", min_size=1),
        "deps": st.lists(st.fixed_dictionaries({"path": st.text("ab/好", min_size=1), "md5": st.text("0123abc")})),
        "params": st.dictionaries(
            st.text("ab", min_size=1), st.integers() | st.floats(allow_nan=False) | st.text("on1e: ")
        ),
        "outs": st.lists(
            st.fixed_dictionaries({"path": st.just("x"), "md5": st.text("0123"), "nfiles": st.integers()})
        ),
    }
)
ENTRIES = st.dictionaries(st.builds("{}@{}".format, st.sampled_from(["train", "validate"]), NAMES), ENTRY)

CONFLICT = """\
schema: '2.0'
stages:
  train@reviews:
<<<<<<< HEAD
    cmd: luodi train reviews
=======
    cmd: luodi train reviews --fast
>>>>>>> other
"""


@pytest.mark.slow
@settings(max_examples=20)
@given(ENTRIES, ENTRIES, NAMES)
def test_merge_replaces_one_models_entries(
    mine: dict[str, dict[str, Any]], theirs: dict[str, dict[str, Any]], model: str
) -> None:
    merged = locks.merge(theirs, model, mine)
    assert locks.of_model(merged, model) == locks.of_model(mine, model)
    for other in {name.partition("@")[2] for name in [*mine, *theirs]} - {model}:
        assert locks.of_model(merged, other) == locks.of_model(theirs, other)


@pytest.mark.slow
@settings(max_examples=20)
@given(ENTRIES, ENTRIES, NAMES)
def test_merging_again_changes_nothing(
    mine: dict[str, dict[str, Any]], theirs: dict[str, dict[str, Any]], model: str
) -> None:
    once = locks.merge(theirs, model, mine)
    assert locks.merge(once, model, mine) == once
    assert locks.merge(theirs, model, theirs) == theirs


@pytest.mark.slow
@settings(max_examples=20)
@given(ENTRIES, ENTRIES, ENTRIES)
def test_two_models_merge_in_either_order(
    base: dict[str, dict[str, Any]], one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]
) -> None:
    forth = locks.merge(locks.merge(base, "reviews", one), "hotel", other)
    back = locks.merge(locks.merge(base, "hotel", other), "reviews", one)
    assert forth == back


@pytest.mark.slow
@settings(max_examples=20)
@given(ENTRIES)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, entries: dict[str, dict[str, Any]]) -> None:
    path = tmp_path_factory.getbasetemp() / "dvc.lock"
    locks.write(path, entries)
    assert locks.read(path) == entries
    first = path.read_bytes()
    locks.write(path, dict(reversed(entries.items())))
    assert path.read_bytes() == first


def test_the_file_is_laid_out_as_dvc_does(tmp_path: Path) -> None:
    path = tmp_path / "dvc.lock"
    locks.write(path, {"b@m": {"cmd": "训练", "outs": [{"path": "o", "md5": "1"}]}, "a@m": {"cmd": "x " * 90}})
    assert list(yaml.safe_load(path.read_text("utf-8"))) == ["schema", "stages"]
    assert path.read_text("utf-8") == (
        f"schema: '2.0'\nstages:\n  a@m:\n    cmd: '{'x ' * 90}'\n"
        "  b@m:\n    cmd: 训练\n    outs:\n    - path: o\n      md5: '1'\n"
    )


def test_a_missing_lock_holds_nothing(tmp_path: Path) -> None:
    assert locks.read(tmp_path / "dvc.lock") == {}


@pytest.mark.parametrize("content", ["", "schema: '2.0'\n", "schema: '2.0'\nstages:\n", "schema: '2.0'\nstages: {}\n"])
def test_an_empty_lock_holds_nothing(content: str) -> None:
    assert locks.parse(content, "dvc.lock") == {}


@pytest.mark.parametrize(
    "content",
    [CONFLICT, f"<<<<<<< HEAD\n{CONFLICT}", "words", "3", "[1]", "\0", "stages: 3", "stages: words", "stages: [1]",
     "stages: {", "stages: {train@reviews: 3}", "stages: {train@reviews: }", "stages: !!python/name:os.x {}"],
)  # fmt: skip
def test_what_is_no_lock_is_named_with_the_remedy(content: str) -> None:
    with pytest.raises(
        ArtifactError, match=r"^here/dvc\.lock is not a dvc\.lock \(.+\): restore it with `git checkout HEAD"
    ):
        locks.parse(content, "here/dvc.lock")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            CONFLICT,
            "it is not YAML in UTF-8: line 4: a merge left both sides (<<<<<<<): leave one of them, without the marks",
        ),
        ("stages: {train@reviews: {}, a@b: 3, c@d: 4}", "a@b is no entry"),
        ("words", "it holds no stages"),
    ],
)
def test_why_it_is_no_lock_is_said_on_one_line(content: str, reason: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        locks.parse(content, "dvc.lock")
    said = str(caught.value)
    assert said.startswith(f"dvc.lock is not a dvc.lock ({reason}): restore it with `git checkout HEAD -- dvc.lock`")
    assert "\n" not in said


def test_a_lock_is_utf_8_in_every_locale(tmp_path: Path) -> None:
    """Where the locale knows ASCII alone, as in a bare container."""
    path, copy = tmp_path / "dvc.lock", tmp_path / "copy.lock"
    locks.write(path, {"train@评论": {"cmd": "luodi train 评论"}})
    code = "import sys; from pathlib import Path; from luodi.project import locks; one, other = map(Path, sys.argv[1:])"
    bare = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run = [sys.executable, "-c", f"{code}; locks.write(other, locks.read(one))", str(path), str(copy)]
    subprocess.run(run, env=bare, check=True)
    assert copy.read_bytes() == path.read_bytes()


def test_a_lock_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "dvc.lock"
    path.write_bytes("stages: {train@m: {cmd: 训练}}".encode("gbk"))
    with pytest.raises(ArtifactError, match=r"dvc\.lock is not a dvc\.lock"):
        locks.read(path)


@pytest.mark.parametrize(("model", "names"), [("m", ["a@m", "b@m"]), ("m2", ["a@m2"]), ("m@2", ["a@m@2"]), ("x", [])])
def test_a_models_entries_are_those_after_the_at_sign(model: str, names: list[str]) -> None:
    assert list(locks.of_model(dict.fromkeys(["a@m", "b@m", "a@m2", "a@m@2", "m", "m@"]), model)) == names


def test_outputs() -> None:
    entries = {"train@m": {"outs": [{"path": "a", "md5": "1"}, {"path": "b", "md5": "2.dir"}]}, "x@m": {"cmd": "y"}}
    assert locks.outputs(entries, "train@m") == {"a": "1", "b": "2.dir"}
    assert locks.outputs(entries, "x@m") == locks.outputs(entries, "gone@m") == {}


def test_a_lock_of_the_project_is_read() -> None:
    path = Path(__file__).parents[3] / "dvc.lock"
    assert all("cmd" in entry for entry in locks.read(path).values())
