"""What reaches a terminal is text and line breaks, whatever the values in it hold."""

import ast
import io
import json
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any, Literal

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi import terminal
from luodi.errors import LINE, LINES, LuodiError
from luodi.system.processes import CommandFailed, Runner
from luodi.terminal import Screen, bare, json_line, screen, shown, visible

SRC = Path(__file__).resolve().parents[2] / "src"
HOSTILE: list[Literal["Cc", "Cf", "Cs", "Zl", "Zp"]] = ["Cc", "Cf", "Cs", "Zl", "Zp"]
ANY = st.text(st.characters() | st.characters(categories=HOSTILE) | st.sampled_from("\u200d\U0001f468\u2764\ufe0f"))
PLAIN = [
    "plain", "质量很好，下次还会再来！", "全角　空格", "naïve façade", "e\u0301", "日本語", "한국어", "עברית", "हिन्दी",
    "😀", "👍🏽", "👨‍👩‍👧‍👦", "❤️‍🔥", "🏳️‍🌈", "🧑🏿‍🤝‍🧑🏻", "👁️‍🗨️", "🇨🇳", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "\U0001fae8", "𠮷\U000323af", "a\\b",
]  # fmt: skip
ESCAPED = {
    "\x1b[31mred": r"\x1b[31mred", "a\nb\r\tc": r"a\nb\r\tc", "\x00\x7f\x85\x9b": r"\x00\x7f\x85\x9b",
    "abc\u202edcba\u202c": r"abc\u202edcba\u202c", "\u2066a\u2069": r"\u2066a\u2069",
    "\u200b\u200c\u200d": r"\u200b\u200c\u200d",
    "a\u200db": r"a\u200db", "\u200d👍": r"\u200d👍", "\ufeffx": r"\ufeffx", "\udcff\ud800": r"\udcff\ud800",
    "\u2028\u2029": r"\u2028\u2029", "\xad": r"\xad", "\U000e0041": r"\U000e0041", "\u3164": r"\u3164",
}  # fmt: skip


def acts(char: str) -> bool:
    return unicodedata.category(char) in HOSTILE


@pytest.mark.parametrize("text", PLAIN)
def test_text_of_people_passes(text: str) -> None:
    assert visible(text) == shown(text) == text
    assert json_line([text]) == json.dumps([text], ensure_ascii=False)


@pytest.mark.parametrize(("text", "expected"), ESCAPED.items())
def test_what_acts_is_an_escape(text: str, expected: str) -> None:
    assert visible(text) == shown(text) == expected


@pytest.mark.slow
def test_every_character_of_the_acting_kinds_is_an_escape() -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1)]
    assert not [hex(ord(char)) for char in every if acts(char) and visible(char) == char]
    # And nothing that Unicode calls a letter, a mark, a number, a sign or a space, but for blanks that look like none.
    kept = [char for char in every if unicodedata.category(char)[0] in "LMNPS" and visible(char) != char]
    assert len(kept) < 16
    assert all(visible(char) == char for char in every if unicodedata.category(char) == "Zs")


@given(ANY, st.integers(3, 300))
def test_any_value_is_one_visible_line_of_bounded_length(text: str, width: int) -> None:
    line = shown(text, width)
    assert not [char for char in line if acts(char) and char != "\u200d" and not "\U000e0061" <= char <= "\U000e007f"]
    assert len(line.splitlines()) <= 1
    assert len(line) <= 10 * width + 50
    assert visible(visible(text)) == visible(text)
    line.encode()  # no halves of characters


@given(st.recursive(ANY | st.integers() | st.none(), lambda one: st.lists(one) | st.dictionaries(ANY, one)))
def test_json_holds_the_values_unchanged_and_no_control(value: dict[str, Any] | list[Any] | str) -> None:
    line = json_line(value)
    assert json.loads(line) == value
    assert visible(line) == line
    line.encode()


def test_a_long_value_is_cut_in_the_middle_and_the_cut_is_counted() -> None:
    line = shown("a" * 150 + "b" * 4700 + "c" * 150, 60)
    assert line == "a" * 40 + "… (4,940 more characters) …" + "c" * 20
    assert shown("x" * 60, 60) == "x" * 60


@given(st.lists(ANY, min_size=1, max_size=5))
def test_an_error_has_a_line_for_each_argument(lines: list[str]) -> None:
    told = str(LuodiError(*lines))
    assert told.count("\n") == len(lines) - 1
    assert visible(told, keep="\n") == told


@pytest.mark.slow
def test_an_error_is_bounded() -> None:
    told = str(LuodiError("first", *["x" * 10**6] * 10**4, "what to do")).split("\n")
    assert len(told) == LINES
    assert told[0] == "first"
    assert told[1] == f"… ({10**4 + 3 - LINES:,} more lines)"
    assert told[-1] == "what to do"
    assert max(map(len, told)) < LINE + 50


@given(st.lists(ANY))
def test_a_screen_lets_nothing_through_but_text_and_line_breaks(parts: list[str]) -> None:
    out = io.StringIO(newline="")
    stream = screen(out)
    for part in parts:
        print(part, file=stream)
    assert out.getvalue() == "".join(visible(part, keep="\n\t") + "\n" for part in parts)
    assert screen(stream) is stream
    assert bare(stream) is out
    assert bare(out) is out


def test_there_is_no_way_around_a_screen() -> None:
    """click writes to the bytes below a stream whose encoding it distrusts."""
    below = io.BytesIO()
    stream: Any = Screen(io.TextIOWrapper(below, encoding="ascii", errors="backslashreplace"))
    assert not hasattr(stream, "buffer")
    click.echo("\x9b31m\u202e", file=stream)
    stream.flush()
    assert below.getvalue() == rb"\x9b31m\u202e" + b"\n"


def test_all_that_a_process_prints_goes_through_a_screen() -> None:
    code = (
        "from luodi import terminal; terminal.cover(); print('\\x1b[1m\\u202e\\udcff'); "
        "raise ValueError('\\x1b]0;x\\x07')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.stdout == rb"\x1b[1m\u202e\udcff" + b"\n"
    assert done.stderr.endswith(rb"ValueError: \x1b]0;x\x07" + b"\n")


def test_what_commands_print_is_visible_in_the_log_and_in_their_failure(tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(CommandFailed) as caught:
        Runner(lines.append).run("printf", r"\033[31ma\tb\n\342\200\256\n", cwd=tmp_path, stream=True)
        Runner(lines.append).run("sh", "-c", r"printf '\033[2Jx\n\342\200\256y'; exit 1", cwd=tmp_path)
    assert lines == [r"\x1b[31ma  b", r"\u202e"]
    assert str(caught.value).splitlines()[1:] == [r"\x1b[2Jx", r"\u202ey"]


def breaks(tree: ast.AST, errors: set[str]) -> list[int]:
    """Lines of code that make an error whose text holds a line break: a line is an argument of its own."""
    return [
        node.lineno
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in errors
        for argument in call.args
        for node in ast.walk(argument)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value
    ]


@pytest.mark.slow
def test_no_error_of_the_package_holds_a_line_break_of_its_own() -> None:
    trees = {str(path): ast.parse(path.read_text(encoding="utf-8")) for path in SRC.rglob("*.py")}
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    errors = {node.name for node in nodes if isinstance(node, ast.ClassDef) and node.bases}
    found = {path: breaks(tree, errors) for path, tree in trees.items()}
    assert "LuodiError" in errors
    assert not {path: lines for path, lines in found.items() if lines}


def test_standard_output_is_written_by_print_alone() -> None:
    """Whoever takes the bytes of a stream, or its file descriptor, writes past the screen."""
    allowed = {
        "nets/stderr.py",
        "airflow/command.py",
        "airflow/local_run.py",
        "tuning/worker.py",
    }  # silence a library's own output; send it to a log; put a screen over the descriptor; answer luodi by a pipe
    found = [
        path.relative_to(SRC / "luodi").as_posix()
        for path in (SRC / "luodi").rglob("*.py")
        if any(
            word in path.read_text(encoding="utf-8") for word in ("stdout.buffer", "os.write(", "os.dup(", "__stdout__")
        )
    ]
    assert set(found) <= allowed
    assert callable(terminal.screen)
