"""Whatever labels, files, authors and comments hold, no command prints anything but text and line breaks."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from project import Project

from luodi.config import locked
from luodi.terminal import visible

EVIL = "\x1b]0;evil\x07\x1b[2J\r\n\u202e\u2066\u200b\x9b31m\x7fx"  # a title, a blank screen, a new line, a mirror
LONG = EVIL + "y" * 5000
LABELS = [EVIL, "很好"]
FORGED = "\nerror: all is lost"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hostile(make_project: Callable[[str], Project]) -> Project:
    """The small project with hostile labels, sources, names of files, words of people and of git."""
    project = make_project("hostile")
    (shard,) = (project.root / "data" / "reviews").iterdir()
    table = pq.read_table(shard)
    names = pa.array([LABELS[label == "positive"] for label in table["label"].to_pylist()])
    table = table.set_column(table.schema.get_field_index("label"), "label", names)
    sources = pa.array([f"{EVIL}{row % 2}" for row in range(len(table))])
    table = table.set_column(table.schema.get_field_index("source"), "source", sources)
    shard.unlink()
    pq.write_table(table, shard.with_name(f"{EVIL}.parquet"))
    path = project.root / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    block = params["models"]["reviews"]
    block |= {"labels": LABELS, "owner": EVIL, "card": {"intended_use": EVIL, "licence": EVIL, "limits": [EVIL]}}
    block["gate"]["min_slice_rows"] = 20
    block["register"]["approval"] = "human"
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    locked.write(project.root)
    author = f'"{EVIL}"'.replace("\n", "").replace("\r", "")
    (project.home / "gitconfig").write_text(f"[user]\nname = {author}\nemail = x@localhost\n", encoding="utf-8")
    project.run("dvc", "add", "--quiet", "data")
    project.git("commit", "--quiet", "--all", "--message", f"x {EVIL}")
    return project


def printed(project: Project, *arguments: str, codes: tuple[int, ...] = (0,), **env: str) -> str:
    """Run luodi, hold that what it prints is text and line breaks, of bounded lines; return it."""
    done = subprocess.run(
        [Path(sys.executable).parent / "luodi", *map(os.fsencode, arguments)], cwd=project.root, check=False,
        env=project.env | env, stdin=subprocess.DEVNULL, capture_output=True, timeout=600,
    )  # fmt: skip
    text = (done.stdout + done.stderr).decode()  # strictly
    assert done.returncode in codes, text
    assert "Traceback" not in text
    assert visible(text, keep="\n") == text
    assert not re.search(r"^error: all is lost", text, re.MULTILINE)
    assert max(map(len, text.splitlines()), default=0) < 2500
    return text


@pytest.fixture(scope="module")
def tagged(hostile: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The environment of an origin with two versions, of whose tags every word is hostile."""
    figure = {"value": 0.5, "low": 0.4, "high": 0.6}
    facts: dict[str, Any] = {
        "export": "x", "commit": EVIL, "data": {"rows": 3, "hash": EVIL, "dated": EVIL}, "latency_ms": 1.0,
        "environment": {"requirements": LONG, "python": EVIL}, "sources": {EVIL: 1},
        "metrics": {"rows": 3, "model": {"accuracy": figure}, "baseline": {"accuracy": figure}},
        "params": {"labels": [LONG, FORGED], "train": {EVIL: LONG}}, "training": None,
        "decision": {"verdict": EVIL, "champion": LONG, "checks": [], "reasons": [FORGED], "comparison": None},
        "approval": {"mode": "human", "by": EVIL, "at": EVIL, "comment": LONG + FORGED},
    }  # fmt: skip
    clone = Project(tmp_path_factory.mktemp("origin") / "clone", hostile.home, hostile.copies)
    subprocess.run(["git", "clone", "--quiet", hostile.root, clone.root], check=True, env=hostile.env)
    for number in ("v1.0.0", "v1.1.0"):
        message = f"x {EVIL}\n\n{json.dumps(facts | {'params': facts['params'] | {number: EVIL}})}"
        clone.git("commit", "--quiet", "--allow-empty", "--message", number)
        clone.git("tag", "--annotate", f"reviews@{number}", "--message", message)
    moved = json.dumps({"action": "promote", "from": EVIL, "reason": LONG + FORGED})
    clone.git("tag", "--annotate", "reviews#production#1", "--message", f"x\n\n{moved}", "reviews@v1.1.0^{}")
    return {"LUODI_GIT_URL": str(clone.root), "LUODI_HOME": str(clone.root.parent / "home")}


def test_what_the_registry_holds_is_shown_as_text(hostile: Any, tagged: Any) -> None:
    assert r"\x1b]0;evil\x07" in printed(hostile, "models", **tagged)
    shown = printed(hostile, "models", "show", "reviews", **tagged)
    assert r"\x1b[2J\r\n\u202e\u2066\u200b\x9b31m\x7fx" in shown
    assert re.search(r"yyy… \([\d,]+ more characters\) …yyy", " ".join(shown.split()))
    printed(hostile, "models", "list", f"reviews{EVIL}", codes=(61,), **tagged)
    printed(hostile, "models", "show", f"reviews@{EVIL}", codes=(2,), **tagged)
    printed(hostile, "predict", "reviews", EVIL, codes=(30, 50, 60), **tagged)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", f"x{FORGED}{EVIL}"], 11),
        (["gate", LONG], 11),
        (["validate", EVIL], 11),
        (["fetch", f"{EVIL}{FORGED}"], 21),
        (["promote", f"x{EVIL}@v1.0.0", "--reason", LONG], 41),
        (["pull", EVIL, EVIL], 41),
        (["predict", "reviews", "--input", EVIL], 41),
        (["add", LONG, "--modality", "text", "--from", EVIL], 12),
        (["add", "new", "--modality", EVIL, "--from", EVIL], 2),
        (["add", "new", "--modality", "text", "--from", f"{EVIL}{FORGED}.csv"], 21),
        (["add", "new", "--modality", "image", "--from", f"{EVIL}{FORGED}"], 21),
        (["add", "new", "--modality", "text", "--from", "x.csv", "--encoding", "\x1b[31m\u202e"], 2),
        (["up", "--port", "\x1b[31m\u202e"], 2),
        (["\x1b[31m\u202e"], 2),
        (["models", "--\x1b[31m\u202e"], 2),
        (["run", os.fsdecode(b"\xff\x1b")], 11),
    ],
)
def test_what_was_typed_is_told_as_text(hostile: Any, arguments: Any, code: Any) -> None:
    assert printed(hostile, *arguments, codes=(code,))


def test_keys_and_values_of_params_are_told_as_text(hostile: Any) -> None:
    project = hostile.copy("hostile-params")
    path = project.root / "params.yaml"
    for block in ({EVIL: 1}, {"labels": [LONG, LONG]}, {"owner": ["\u202e" * 10**4]}, {"modality": EVIL}):
        params = yaml.safe_load((hostile.root / "params.yaml").read_text(encoding="utf-8"))
        params["models"]["reviews"] |= block
        path.write_text(yaml.safe_dump(params, allow_unicode=False), encoding="utf-8")
        assert len(printed(project, "run", "reviews", codes=(11, 12)).splitlines()) == 1


def test_what_is_added_is_told_as_text(hostile: Any, tmp_path: Path) -> None:
    project = hostile.copy("hostile-add")
    source = tmp_path / f"{EVIL}.jsonl"
    rows = [{f"text{EVIL}": f"房间{n}", f"label{EVIL}": [EVIL, FORGED, "z" * 250][n % 3]} for n in range(90)]
    source.write_text("\n".join(map(json.dumps, rows)))
    columns = ["--text-column", f"text{EVIL}", "--label-column", f"label{EVIL}"]
    told = printed(project, "add", "new", "--modality", "text", "--from", str(source), *columns)
    assert r"\x1b]0;evil\x07" in told
    assert len(told.splitlines()) == 11
    printed(project, "add", "other", "--modality", "text", "--from", str(source), codes=(24,))


def test_a_terminal_gets_the_colours_of_luodi_alone(hostile: Any, tagged: Any) -> None:
    """On a terminal tables are styled: no sequence is there but those that set a style."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [Path(sys.executable).parent / "luodi", "models", "show", "reviews"], cwd=hostile.root, stdin=follower,
        env=hostile.env | tagged | {"TERM": "xterm-256color", "COLUMNS": "200"}, stdout=follower, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    output = b""
    while True:
        try:
            output += os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
    assert process.wait(60) == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", output.decode().replace("\r\n", "\n"))
    assert visible(text, keep="\n") == text
    assert r"\u202e" in text


@pytest.mark.proof
def test_a_whole_life_is_told_as_text(hostile: Any, tmp_path: Path) -> None:
    """Every command that works: run, judged, landed by a person, shown, asked, moved."""
    project = hostile.copy("hostile-whole")
    for stage in ("validate", "preprocess", "baseline", "train", "evaluate"):
        printed(project, stage, "reviews")
    printed(project, "connect")
    project.run("dvc", "commit", "--force", "--quiet")
    printed(project, "gate", "reviews", codes=(0, 5, 6))
    printed(project, "register", "reviews", "--approve", "--comment", LONG + FORGED)
    shown = printed(project, "models", "show", "reviews")
    assert "more characters" in shown
    printed(project, "models")
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in (LONG, "👩‍💻 很好")))
    answers = [
        json.loads(line) for line in printed_json(project, "predict", "reviews", "--input", tmp_path / "in.jsonl")
    ]
    assert [answer["text"] for answer in answers] == [LONG, "👩‍💻 很好"]
    assert {answer["label"] for answer in answers} <= set(LABELS)
    printed(project, "promote", "reviews@v1.0.0", "--reason", EVIL, codes=(60,))
    printed(project, "rollback", "reviews", "--reason", EVIL, codes=(61,))
    project.set({"train": {"seed": 8}})
    assert "train" in printed(project, "run", "reviews", codes=(0, 5, 6))  # judged anew; nobody is there to approve
    project.set({"validate": {"min_rows": 10**6}})
    assert "Enough rows" in printed(project, "run", "reviews", codes=(80,))
    assert "Enough rows" in printed(project, "validate", "reviews", codes=(3,))
    printed(project, "pull", "reviews", f"there{EVIL}")
    home = project.origin.home
    logs = [*(home / "logs").iterdir(), *(home / "airflow" / "logs").rglob("attempt=*.log")]  # of runs, and of tasks
    told = "\n".join(log.read_text(encoding="utf-8") for log in logs)
    assert "Enough rows" in told
    plain = re.sub(r"\x1b\[[0-9;]*m", "", told)  # but for Airflow's own styles
    assert visible(plain, keep="\n\t") == plain


def printed_json(project: Any, *arguments: object) -> Any:
    command: list[str | Path] = [Path(sys.executable).parent / "luodi", *map(str, arguments)]
    done = subprocess.run(command, cwd=project.root, env=project.env, capture_output=True, check=True, timeout=600)
    text = done.stdout.decode()
    assert visible(text, keep="\n") == text
    return text.splitlines()
