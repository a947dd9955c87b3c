"""YAML of people and of DVC: plain values or one line that says where, in bounded time and memory."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import dumps_yaml, loads_yaml
from hypothesis import example, given
from hypothesis import strategies as st
from project import full_params

from luodi import config, yaml12
from luodi.errors import ArtifactError, LuodiError, ParamsError, WrongValue
from luodi.project import graph, locks

ROOT = Path(__file__).resolve().parents[2]
PARAMS = full_params().encode()
LINES = PARAMS.count(b"\n")
ALIASES = "\n".join(
    ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    + [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 9)]
)
MERGES = "\n".join(
    ["a0: &a0 {x: 1}"]
    + [f"a{level}: &a{level} {{k{level}: 1, <<: [{', '.join([f'*a{level - 1}'] * 9)}]}}" for level in range(1, 9)]
)
# But for characters that YAML 1.1 takes for line breaks: params.yaml cannot hold them.
SCALARS = st.text("0123456789-+._:eExobafTyn~<= ", max_size=8) | st.text(
    st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029"), max_size=8
)


def readable(text: str) -> bool:
    return not yaml12.FORBIDDEN.search(text)


# What is read


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml", "data.dvc"])
def test_the_files_of_the_project_are_read_as_dvc_reads_them(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert yaml12.parse(text) == loads_yaml(text) == yaml.safe_load(text)


@given(st.dictionaries(SCALARS, SCALARS | st.integers() | st.booleans() | st.none() | st.lists(SCALARS)))
def test_what_is_written_is_read_by_us_and_by_dvc_as_it_was(value: dict[str, Any]) -> None:
    text = yaml12.dump(value)
    assert yaml12.parse(text, strict=False) == value
    assert loads_yaml(text) == value


@given(st.dictionaries(SCALARS.filter(readable), SCALARS.filter(readable)))
def test_what_dvc_writes_is_read_as_it_was(value: dict[str, str]) -> None:
    assert yaml12.parse(dumps_yaml(value), strict=False) == value


@example("\t")
@example("a\t")
@given(SCALARS.filter(lambda text: readable(text) and "\n" not in text))
def test_a_plain_value_is_what_dvc_reads_or_it_is_refused(text: str) -> None:
    try:
        found = yaml12.parse(f"key: {text}")
    except yaml12.Unfit:
        return
    expected = loads_yaml(f"key: {text}")
    assert repr(found) == repr(expected)  # 1 is not 1.0, and nan is nan


@pytest.mark.parametrize("word", ["yes", "No", "on", "OFF", "010", "0o17", "1_000", "1:30", "2024-01-01", "09", "="])
def test_what_readers_of_yaml_do_not_agree_on_has_to_be_in_quotes(word: str) -> None:
    with pytest.raises(yaml12.Unfit, match=rf"line 2: {word} is not the same to every reader of YAML: put a text in"):
        yaml12.parse(f"a: 1\nb: {word}\n")
    assert yaml12.parse(f"b: '{word}'") == {"b": word}


@pytest.mark.parametrize("label", ["yes", "no", "on", "09", "1e3", "1:30", "0o17", "-", "~", "null", "1_0"])
def test_labels_survive_a_lock_in_both_directions(label: str) -> None:
    """A lock of DVC says `yes` without quotes, true in YAML 1.1; one of PyYAML says 09, which is 9 to DVC."""
    entry = {"cmd": "x", "params": {"params.yaml": {"models.m.labels": [label, "other"]}}}
    lock = {"schema": "2.0", "stages": {"train@m": entry}}
    assert locks.parse(dumps_yaml(lock), "")["train@m"] == entry
    assert loads_yaml(yaml12.dump(lock)) == lock


def test_aliases_and_merges_are_taken() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [*a, {z: 4}]}\nd: [*a, *a]\n"
    expected = yaml.safe_load(text)
    assert yaml12.parse(text) == expected
    assert expected["b"] == {"x": 1, "y": 3}


# What is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: key a stands twice, first in line 1"),
        ("a: {b: 1,\n b: 2}", "line 2: key b stands twice, first in line 1"),
        ("<<: {a: 1}\n<<: {b: 1}", "line 2: key << stands twice"),
        ("a:\n  - 1\n\t- 2", "line 3: .*indent by spaces, not tabs"),
        ("a: 1\n---\na: 2", "line 2: a second document begins"),
        ("a: !!python/object:os.system {}", "line 1: the tag .*python/object:os.system is not taken"),
        ("a: !!str 1", "line 1: the tag .* is not taken"),
        ("1: x", "line 1: key 1 is no text: put it in quotes"),
        ("null: x", "line 1: key null is no text"),
        ("? \n: x", "line 1: key .* is no text"),
        ("true: x", "line 1: key true is no text"),
        ("1.5: x", "line 1: key 1.5 is no text"),
        ("2024-01-01: x", "line 1: 2024-01-01 is not the same"),
        ("? [a]\n: x", "line 1: a list or mapping as a key: expected a text"),
        ("? {a: 1}\n: x", "line 1: a list or mapping as a key"),
        ("a: &a 1\n*a : x", "line 2: an alias as a key"),
        ("a: *b", r"line 1: \*b is used which is not defined above"),
        ("a: &a\n  b: *a", r"line 2: \*a is used inside of itself"),
        ("a: &a 1\nb: &a 2", "line 2: &a stands twice: give each its own name"),
        ("a: {<<: 3}", "line 1: << takes in what is no mapping"),
        ("a: <<", "line 1: << is not the same"),
        ("a: \x00", r"line 1: holds '\\x00': remove it"),
        ("a: 1\nb: \x1b[31m", r"line 2: holds '\\x1b': remove it"),
        ("a: 1 # \x85b: 2", r"line 1: holds '\\x85'"),
        ("a: 1 # \u2028b: 2", r"line 1: holds '\\u2028'"),
        ("a: \udcff", r"line 1: holds '\\udcff'"),
        ("a: \ufeff", r"line 1: holds '\\ufeff'"),
        ('a: "\\q"', "line 1: .*correct it"),
        ("a: 'x", "line 1: .*correct it"),
        ("[" * 100_000, "line 1: more than 50 lists and mappings inside one another"),
        ("- " * 100_000, "line 1: more than 50 lists and mappings"),
        ("".join(" " * level + "a:\n" for level in range(1000)), "line 52: more than 50 lists and mappings"),
        (ALIASES, "line 6: the aliases multiply to more values than fit in memory"),
        (MERGES, "line 6: the aliases multiply"),
        ("%YAML 9.9\n---\na", "line 1: found incompatible YAML document; correct it"),
    ],
)  # fmt: skip
def test_what_is_not_taken_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(yaml12.Unfit, match=message) as caught:
        yaml12.parse(text)
    told = str(caught.value)
    assert "\n" not in told
    assert len(told) < 300


@given(st.text() | st.text("ab:-[]{},&*<>|'\"!%#? \n\t"))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    for strict in (True, False):
        try:
            yaml12.parse(text, strict)
        except yaml12.Unfit as error:
            assert "\n" not in str(error)


# Files


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def put_long(path: Path) -> None:
    path.touch()
    os.truncate(path, 10**8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is not a regular file"),
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
        (lambda path: path.symlink_to("gone"), "is a link that leads nowhere: remove it"),
        (lambda path: path.symlink_to(path.name), "is a link that leads nowhere"),
        (lambda path: put(path, "{} # 模型".encode("gbk")), "line 1 holds the byte 0xd0: save the file as UTF-8"),
        (lambda path: put(path, b"a: 1\nb: \xff"), "line 2 holds the byte 0xff"),
        (lambda path: put(path, "models: {}".encode("utf-16")), "line 1 holds the byte 0xff: save the file as UTF-8"),
        (lambda path: put(path, "models: {}".encode("utf-16-le")), r"line 1: holds '\\x00'"),
        (put_long, "is too large: expected at most .* found 100,000,000"),
        (lambda path: put(path, b""), "models|whole file"),
        (lambda path: put(path, b"models: null"), "line 1: models: "),
        (lambda path: put(path, b"models: []"), "line 1: models: "),
        (lambda path: put(path, ALIASES.encode()), "line 6: the aliases multiply"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, make: Callable[..., Any], message: str) -> None:
    path = tmp_path / "params.yaml"
    make(path)
    with pytest.raises(ParamsError, match=rf"params\.yaml.*{message}") as caught:
        config.load(path)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code in (10, 12)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(PARAMS)
    path.chmod(0)
    with pytest.raises(ParamsError, match="cannot be read: Permission denied"):
        config.load(path)


def test_a_wrong_value_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(PARAMS.replace(b"epochs: 12", b"epochs: many"))
    line = PARAMS[: PARAMS.index(b"epochs: 12")].count(b"\n") + 1
    with pytest.raises(
        WrongValue, match=rf"params\.yaml, line {line}: models\.reviews\.train\.epochs: .* found 'many'"
    ):
        config.load(path)


EXPLODING = {
    "aliases": ALIASES, "merges": MERGES, "brackets": "[" * 500_000, "many values": "[" + "a," * 250_000 + "]",
    "many keys": "{" + "".join(f"k{number}: 1," for number in range(45_000)) + "}", "one number": "a: " + "9" * 500_000,
    "underscores": "a: 1" + "_" * 500_000 + "x", "a key": "a" * 500_000 + ": 1",
    "labels": "models: {m: {modality: text, labels: [" + "1," * 100_000 + "]}}",
    "models": "models: {" + "".join(f"m{number}: 1," for number in range(20_000)) + "}",
}  # fmt: skip
BOUNDED = """
import resource, sys
from pathlib import Path
from luodi import config
from luodi.errors import LuodiError
before = resource.getrusage(resource.RUSAGE_SELF)
resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
try:
    config.load(Path(sys.argv[1]))
except LuodiError as error:
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(after.ru_utime - before.ru_utime, after.ru_maxrss - before.ru_maxrss, error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPLODING)
def test_time_and_memory_are_bounded(tmp_path: Path, name: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(EXPLODING[name])
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, path], capture_output=True, text=True, check=True, timeout=120
    )
    seconds, kibibytes, told = done.stdout.split(maxsplit=2)
    assert float(seconds) < 15
    assert int(kibibytes) < 400 * 1024
    assert told.count("\n") == 1
    assert len(told) < 2200


@st.composite
def damaged(draw: Any) -> bytes:
    """The params of the project with some bytes put in or taken out."""
    content = PARAMS
    for _ in range(draw(st.integers(1, 3))):
        place, left_out = draw(st.integers(0, len(content))), draw(st.integers(0, 30))
        put_in = draw(
            st.binary(max_size=6) | st.sampled_from([b"\n", b" ", b": ", b"- ", b"*a", b"&a ", b"<<: ", b"["])
        )
        content = content[:place] + put_in + content[place + left_out :]
    return content


@given(content=st.binary() | damaged())
def test_any_bytes_are_params_or_an_error_of_ours(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.params.yaml"
    path.write_bytes(content)
    try:
        config.load(path)
    except LuodiError as error:
        assert error.exit_code in (10, 11, 12)
        assert "\n" not in str(error)


# The graph and the lock

STAGE = "stages:\n  one:\n    foreach: ${models}\n    do:\n      "


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        ("", "expected a mapping `stages:`, found none"),
        ("stages:", "expected a mapping `stages:`"),
        ("stages: []", "expected a mapping `stages:`"),
        ("[]", "expected a mapping `stages:`"),
        ("stages: {one: 3}", "stages.one: expected `foreach"),
        ("stages: {one: {do: [x]}}", "stages.one: expected `foreach"),
        (f"{STAGE}deps: x", "stages.one.do.deps: expected a list, found x"),
        (f"{STAGE}deps: [3]", "stages.one.do.deps: expected a text, found 3"),
        (f"{STAGE}outs: [[x]]", "stages.one.do.outs: expected a text"),
        (f"{STAGE}deps: ['data/${{kee}}']", r"stages.one.do.deps: cannot fill in data/\${kee}: expected no other than"),
        (f"{STAGE}deps: []\n      deps: []", "line 6: key deps stands twice, first in line 5"),
        ("<<<<<<< HEAD\nstages: {}\n", "line 1: a merge left both sides .*: leave one of them"),
    ],
)
def test_a_graph_that_cannot_be_used_is_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "dvc.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ParamsError, match=rf"dvc\.yaml.*{message}") as caught:
        graph.stages(path, "reviews", "text")
    assert "\n" not in str(caught.value)


def test_outputs_with_settings_are_taken(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(f"{STAGE}outs: ['a/${{key}}': {{cache: false}}, b]")
    assert graph.stages(tmp_path / "dvc.yaml", "m", "text")["one"]["outs"] == ["a/m", "b"]


@pytest.mark.parametrize(
    "text",
    ["[]", "3", "stages: []", "stages: {a@b: 3}", "stages: {a@b: {deps: 3}}", "stages: {a@b: {outs: [{path: x}]}}",
     "<<<<<<< HEAD\nstages: {}\n", ALIASES, "[" * 100_000, "stages: {a: 1, a: 2}", "stages: \udcff", "{[a]: 1}"],
)  # fmt: skip
def test_what_is_no_lock_is_one_line(text: str) -> None:
    with pytest.raises(
        ArtifactError, match=r"x is not a dvc\.lock \(.*\): restore it with `git checkout HEAD"
    ) as caught:
        locks.parse(text, "x")
    assert "\n" not in str(caught.value)


@given(st.text() | st.text("stages:@{}[]- \n"))
def test_any_text_is_a_lock_or_an_error_of_ours(text: str) -> None:
    with contextlib.suppress(ArtifactError):
        assert isinstance(locks.parse(text, "x"), dict)
