"""The grammar of the command line: how a version is named, what is printed for whom."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

import luodi
from luodi.cli.arguments import Reference, by_option, reference
from luodi.cli.commands import app
from luodi.errors import DirtyCheckout, NoVersion
from luodi.system import progress

BIN = Path(sys.executable).parent
EPOCH = {"GIT_COMMITTER_DATE": "2026-01-31T12:00Z"}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    yield
    progress.silence(False)


def test_the_package_is_a_command_and_typed() -> None:
    done = subprocess.run([sys.executable, "-m", "luodi", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"luodi {luodi.__version__}\n"
    assert (Path(luodi.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize(("shell", "line"), [("bash", "complete"), ("zsh", "#compdef luodi"), ("fish", "complete")])
def test_completion_is_there_for_each_shell(shell: str, line: str) -> None:
    environment = {**os.environ, "_LUODI_COMPLETE": f"source_{shell}"}
    done = subprocess.run([str(BIN / "luodi")], env=environment, capture_output=True, text=True, check=True)
    assert any(one.strip().startswith(line) for one in done.stdout.splitlines())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that is its own git origin; three versions are registered, facts and all."""
    for key in [key for key in os.environ if key.startswith(("LUODI_", "GIT_"))]:
        monkeypatch.delenv(key)
    (tmp_path / "gitconfig").write_text("[user]\nname = Ann\nemail = ann@localhost\n")
    root = tmp_path / "project"
    for key, value in {
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1", "LUODI_GIT_URL": str(root),
        "LUODI_HOME": str(tmp_path / "home"),
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    root.mkdir()
    (root / "params.yaml").write_text("models:\n  reviews: {modality: text, labels: [a, b]}\n")
    git(root, "init", "--quiet", "-b", "main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "One")
    for number in ("v1.0.0", "v1.1.0", "v1.2.0"):
        facts = {"export": number, "params": {"train": {"epochs": number}}, "latency_ms": float("nan")}
        git(root, "tag", "-a", f"reviews@{number}", "-m", f"x\n\n{json.dumps(facts)}")
    git(root, "tag", "-a", "reviews#production#1", "-m", "Move reviews@v1.1.0 to production")
    monkeypatch.chdir(root)
    return root


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, env=os.environ | EPOCH)


# MODEL[@VERSION]


@pytest.mark.parametrize(
    "text", ["reviews", "reviews@v1.0.0", "reviews@v12.0.345", "reviews@production", "a/b-c@v1.0.0"]
)
def test_a_version_is_parsed_and_written_as_it_was(text: str) -> None:
    model, _, number = text.partition("@")
    assert reference(text) == Reference(model, number or None)
    assert str(reference(text)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "found nothing"),
        ("reviews@", "found reviews@"),
        ("@v1.0.0", "found @v1.0.0"),
        ("reviews@1.0.0", "did you mean reviews@v1.0.0?"),
        ("reviews@v1.0", "expected MODEL, MODEL@v1.2.3, MODEL@production or MODEL@canary, found reviews@v1.0"),
        ("reviews@v01.0.0", "found reviews@v01.0.0"),
        ("reviews@latest", "found reviews@latest"),
        ("reviews@v1.0.0@v1.0.0", "found reviews@v1.0.0@v1.0.0"),
        ("a\nb@x", r"found a\nb@x"),
    ],
)
def test_what_names_no_version_is_told(text: str, said: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        reference(text)
    assert str(caught.value).endswith(said)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    ["promote {}", "rollback {}", "pull {} there", "predict {} x", "models show {}", "models list {}"],
)
def test_every_command_takes_the_same_grammar(command: str, project: Path) -> None:
    wrong = run(*command.format("reviews@1.0.0").split())
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "did you mean reviews@v1.0.0?" in wrong.stderr
    assert "Usage: luodi" in wrong.stderr or "Usage: root" in wrong.stderr
    unknown = run(*command.format("reviews@v9.9.9").split())
    assert isinstance(unknown.exception, NoVersion)
    assert "no reviews@v9.9.9 in the registry; there is: reviews@v1.2.0" in str(unknown.exception)


@pytest.mark.parametrize("command", ["run", "gate", "register", "params", "validate", "retire"])
def test_what_takes_a_model_alone_says_so(command: str) -> None:
    done = run(command, "reviews@v1.0.0")
    assert done.exit_code == 2
    assert "expected a model alone, such as reviews, found reviews@v1.0.0" in " ".join(done.stderr.split())


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_bytes_that_are_no_text_are_a_wrong_use(command: str) -> None:
    done = run(command, "reviews", "\udcff\udcfe")
    assert done.exit_code == 2
    assert "expected UTF-8, found other bytes" in " ".join(done.stderr.split())


def test_a_promotion_needs_a_version() -> None:
    done = run("promote", "reviews")
    assert done.exit_code == 2
    assert "name a version, such as reviews@v1.0.0: `luodi models` lists them" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "replacement"),
    [
        (["predict", "reviews", "x", "--version", "v9.0.0"], "deprecated: write `luodi predict reviews@v9.0.0`"),
        (["rollback", "reviews", "--to", "v9.0.0"], "--to is deprecated: write `luodi rollback reviews@v9.0.0`"),
        (["rollback", "reviews", "--to", "reviews@v9.0.0"], "write `luodi rollback reviews@v9.0.0`"),
    ],
)  # fmt: skip
def test_the_old_options_work_and_name_what_replaces_them(
    arguments: list[str], replacement: str, project: Path
) -> None:
    done = run(*arguments)
    assert isinstance(done.exception, NoVersion)
    assert str(done.exception).startswith("no reviews@v9.0.0 in the registry")
    assert done.stderr.startswith("warning: ")
    assert done.stderr.endswith(f"{replacement}\n")


def test_the_stage_by_the_old_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert by_option(Reference("reviews", None), "--version", "production", "predict").number == "production"
    assert "write `luodi predict reviews@production`" in capsys.readouterr().err
    assert by_option(Reference("reviews", "v1.0.0"), "--version", None, "predict") == Reference("reviews", "v1.0.0")


@pytest.mark.parametrize(
    "arguments", [["rollback", "reviews@v1.0.0", "--to", "v1.1.0"], ["rollback", "reviews", "--to", "1"]]
)
def test_an_old_option_that_does_not_fit_is_a_wrong_use(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_folder_holds_one_version_which_no_option_chooses(tmp_path: Path) -> None:
    done = run("predict", f"{tmp_path}/", "x", "--version", "v9.0.0")
    assert done.exit_code == 2
    assert "is a folder, and holds one version: leave --version out" in " ".join(done.stderr.split())


def test_the_old_options_are_not_in_the_help() -> None:
    assert "--to" not in run("rollback", "--help").stdout
    assert "--version" not in run("predict", "--help").stdout


# --version, --quiet


def test_the_version_of_luodi() -> None:
    done = run("--version")
    assert (done.exit_code, done.stdout) == (0, f"luodi {luodi.__version__}\n")


@pytest.mark.parametrize("quiet", [[], ["-q"], ["--quiet"]])
def test_quiet_leaves_progress_out_and_no_error(quiet: list[str], project: Path) -> None:
    (project / "notes.txt").write_text("x")
    done = run(*quiet, "register", "reviews")
    assert isinstance(done.exception, DirtyCheckout)
    assert done.stdout == ("" if quiet else "bringing what `dvc repro` made of reviews to the DVC remote\n")


def test_quiet_leaves_results(project: Path) -> None:
    assert run("-q", "models").stdout == run("models").stdout != ""


# --json


def document(*arguments: str) -> Any:
    """The one document on standard output; NaN is none."""
    done = run(*arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout, parse_constant=pytest.fail)


@pytest.mark.parametrize("command", ["models --json", "models list --json", "models list reviews --json"])
def test_versions_as_json(command: str, project: Path) -> None:
    found = document(*command.split())
    assert list(found) == ["reviews"]
    assert found["reviews"]["more"] == 0
    versions = found["reviews"]["versions"]
    assert [(one["version"], one["stage"]) for one in versions] == [
        ("reviews@v1.2.0", None), ("reviews@v1.1.0", "production"), ("reviews@v1.0.0", None)
    ]  # fmt: skip
    assert versions[0]["registered"].startswith("2026-01-31T12:00:00")
    assert versions[0]["facts"] == {"export": "v1.2.0", "params": {"train": {"epochs": "v1.2.0"}}, "latency_ms": None}


@pytest.mark.parametrize(("wanted", "found"), [("reviews@v1.1.0", "v1.1.0"), ("reviews@production", "v1.1.0")])
def test_one_version_is_listed_beside_the_one_before(wanted: str, found: str, project: Path) -> None:
    (version,) = document("models", "list", wanted, "--json")["reviews"]["versions"]
    assert version["version"] == f"reviews@{found}"
    told = run("models", "list", wanted).stdout
    assert re.findall(r"reviews@\S+", told) == [f"reviews@{found}"]
    assert "train.epochs v1.0.0 -> v1.1.0" in told


def test_a_version_as_json(project: Path) -> None:
    found = document("models", "show", "reviews", "--json")
    assert (found["version"], found["stage"], found["author"]) == ("reviews@v1.1.0", "production", "Ann")
    assert [move["by"] for move in found["moves"]] == ["Ann"]
    assert {Path(page).name for page in found["pages"]} == {"card.html", "card.md"}
    assert document("models", "show", "reviews@v1.0.0", "--json")["moves"] == []


def test_json_of_a_command_is_asked_behind_it() -> None:
    done = run("models", "--json", "list")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "write it behind `list`" in done.stderr


def test_architectures_and_settings_as_json(project: Path) -> None:
    assert {"modality", "name", "parameters", "description", "any_threads", "any_width"} == set(
        document("architectures", "--json")[0]
    )
    assert document("params", "reviews", "--json")["labels"]["value"] == ["a", "b"]


def test_json_leaves_progress_out(project: Path) -> None:
    (project / "notes.txt").write_text("x")
    done = run("run", "reviews", "--dry-run", "--json")
    assert isinstance(done.exception, DirtyCheckout)
    assert done.stdout == ""


# Colours

COLOUR = re.compile(r"\x1b\[[0-9;]*\b(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])\b[0-9;]*m")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["architectures", "rollback --help", "promote reviews"])
def test_no_colour_at_a_terminal_that_wants_none(command: str, tmp_path: Path) -> None:
    main, end = pty.openpty()
    env = os.environ | {"NO_COLOR": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    process = subprocess.Popen([BIN / "luodi", *command.split()], stdout=end, stderr=end, env=env, cwd=tmp_path)
    os.close(end)
    told = b""
    try:
        while more := os.read(main, 65536):
            told += more
    except OSError:  # the other end was closed
        pass
    process.wait(60)
    os.close(main)
    assert b"reviews" in told or b"ngram" in told
    assert not COLOUR.search(told.decode())


@pytest.mark.slow
@pytest.mark.parametrize("command", ["architectures", "rollback --help", "promote reviews"])
def test_no_escapes_in_a_pipe(command: str, tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "TTY_COMPATIBLE")}
    done = subprocess.run([BIN / "luodi", *command.split()], capture_output=True, check=False, env=env, cwd=tmp_path)
    assert done.stdout + done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
