"""`luodi retire` and `luodi rename`: a model goes, or takes another name, and no other changes; or nothing does."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from luodi import config
from luodi.cli.commands import app
from luodi.config import locked
from luodi.errors import DataError, LuodiError, MissingData, ParamsError, SourceMismatch, UnknownKey, WrongValue
from luodi.files import folder_checksum
from luodi.project import locks
from luodi.scaffold import changes, pipeline, removing
from luodi.system.processes import Runner

ROOT = Path(__file__).resolve().parents[3]
QUIET = Runner(lambda line: None)
A, B, C = (f"  {name}: {{modality: text, labels: [x, y]}}\n" for name in "abc")
QUOTED = A.replace("a:", '"a" :', 1)
LONG = "  a:\n    modality: text\n    labels: [x, y]\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of the two models of this repository, without data."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def everything(root: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
        if not {".luodi", ".git", "tmp", "cache"} & set(path.parts)
    }


def write(root: Path, text: str) -> None:
    (root / "params.yaml").write_bytes(text.encode())


def params(root: Path) -> str:
    return (root / "params.yaml").read_bytes().decode()


# params.yaml


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"models:\n{A}{B}{C}", f"models:\n{B}{C}"),
        (f"models:\n{B}{A}{C}", f"models:\n{B}{C}"),
        (f"models:\n{B}{C}{A}", f"models:\n{B}{C}"),
        (f"models:\n{B}{C}{A}".rstrip(), f"models:\n{B}{C}"),
        (f"models:\n{LONG}\n{B}\n{C}", f"models:\n{B}\n{C}"),
        (f"models:\n{B}\n{LONG}\n\n", f"models:\n{B}"),
        (f"# All\nmodels:\n  # Of a\n{LONG}    # Its end\n\n  # Of b\n{B}", f"# All\nmodels:\n  # Of b\n{B}"),
        (f"models:\n{B}  # Of a\n{LONG}  # Of nobody\n", f"models:\n{B}"),
        (f"models:\n  # Of b\n\n{A}{B}", f"models:\n  # Of b\n\n{B}"),
        (f'models:\n  "a": {{modality: text, labels: [x, y]}}\n{B}', f"models:\n{B}"),
        (f"models:\r\n{A}{B}".replace("}\n", "}\r\n"), f"models:\r\n{B}".replace("}\n", "}\r\n")),
        (f"\ufeffmodels:\n{A}{B}", f"\ufeffmodels:\n{B}"),
        (f"models:  # all\n{A}", "models: {}  # all\n"),
        (f"# None\nmodels:\n{A}", "# None\nmodels: {}\n"),
        (f"models:\n  a: &own {{modality: text, labels: &l [x, y], preprocess: {{}}}}\n{B}", f"models:\n{B}"),
    ],
)
def test_the_block_goes_and_every_other_byte_stays(before: str, after: str, root: Path) -> None:
    write(root, before)
    removing.retire(root, "a", QUIET, data=False)
    assert params(root) == after
    assert (root / "params.lock").read_text() == locked.text(root, config.load(root / "params.yaml"))


def test_a_model_can_be_added_where_the_last_one_went() -> None:
    from luodi.scaffold.appending import EMPTY

    assert EMPTY.sub("models:", "models: {}  # all\n") == "models:  # all\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"models:\n{B}{A}{C}", f"models:\n{B}{A.replace('a:', 'new-name:', 1)}{C}"),
        (f"models:\n{LONG}{B}", f"models:\n{LONG.replace('a:', 'new-name:', 1)}{B}"),
        (f"models:\n{QUOTED}", f"models:\n{A.replace('a:', 'new-name :', 1)}"),
        ("models: {a: {modality: text, labels: [a, y]}}", "models: {new-name: {modality: text, labels: [a, y]}}"),
        (f"\ufeffmodels:\r\n{A}", f"\ufeffmodels:\r\n{A.replace('a:', 'new-name:', 1)}"),
    ],
)  # fmt: skip
def test_the_key_changes_and_every_other_byte_stays(before: str, after: str, root: Path) -> None:
    write(root, before)
    removing.rename(root, "a", "new-name", QUIET)
    assert params(root) == after
    assert (root / "params.lock").read_text() == locked.text(root, config.load(root / "params.yaml"))


FLOW = "models: {a: {modality: text, labels: [x, y]}, b: {modality: text, labels: [x, y]}}\n"
SHARED = f"models:\n  a: {{modality: text, labels: &l [x, y]}}\n{B.replace('[x, y]', '*l')}"


@pytest.mark.parametrize("text", [FLOW, SHARED])
def test_a_block_that_cannot_be_cut_out_stays(text: str, root: Path) -> None:
    write(root, text)
    before = everything(root)
    with pytest.raises(ParamsError, match=r"cannot be changed without changing other models: expected `models:` in"):
        removing.retire(root, "a", QUIET, data=False)
    assert everything(root) == before


def test_a_key_that_is_written_in_another_way_stays(root: Path) -> None:
    write(root, f'models:\n  "\\x61": {{modality: text, labels: [x, y]}}\n{B}')
    before = everything(root)
    with pytest.raises(ParamsError, match="cannot be changed without"):
        removing.rename(root, "a", "new", QUIET)
    assert everything(root) == before


# dvc.yaml and dvc.lock

PLOTS = """\
plots:
  - Loss:
      x: epoch
      y:
        # of b
        artifacts/b/train/history.csv: [loss, val_loss]
        artifacts/a/train/history.csv: [loss, val_loss]  # of a
  - Only:
      y:
        artifacts/a/x.csv: y
  - artifacts/a/own.csv:
      x: z
  - artifacts/a/alone.csv
  - artifacts/ab/alone.csv
  - Column:
      y: artifacts/a
"""


def graph(text: str) -> str:
    return pipeline.template().rstrip("\n") + "\n" + text


def test_the_plots_lose_what_is_of_the_model() -> None:
    after = pipeline.without(graph(PLOTS), "a")
    assert after.partition("plots:")[0] == pipeline.template().rstrip("\n") + "\n"
    assert "# of b" in after
    assert yaml.safe_load(after)["plots"] == [
        {"Loss": {"x": "epoch", "y": {"artifacts/b/train/history.csv": ["loss", "val_loss"]}}},
        "artifacts/ab/alone.csv",
        {"Column": {"y": "artifacts/a"}},
    ]
    assert "plots" not in yaml.safe_load(pipeline.without(graph("plots:\n  - artifacts/a/x.csv\n"), "a"))
    for text in (graph(""), graph("plots: []\n")):
        assert pipeline.without(text, "a") == text


def test_the_plots_of_the_model_take_its_name() -> None:
    after = pipeline.renamed(graph(PLOTS), "a", "new")
    changed = [line for line in after.splitlines() if line not in graph(PLOTS).splitlines()]
    assert [line.strip(" -") for line in changed] == [
        "artifacts/new/train/history.csv: [loss, val_loss] # of a",
        "artifacts/new/x.csv: y",
        "artifacts/new/own.csv:",
        "artifacts/new/alone.csv",
    ]
    assert yaml.safe_load(pipeline.renamed(after, "new", "a")) == yaml.safe_load(graph(PLOTS))


def test_the_titles_of_the_models_plots_take_its_name() -> None:
    two = pipeline.updated(pipeline.template(), ["a", "b"])
    assert yaml.safe_load(pipeline.renamed(two, "a", "new")) == yaml.safe_load(
        pipeline.updated(pipeline.template(), ["new", "b"])
    )
    assert yaml.safe_load(pipeline.without(two, "a")) == yaml.safe_load(pipeline.updated(pipeline.template(), ["b"]))


ARTIFACTS = """\
artifacts:
  b: {path: artifacts/b/train/export, type: model}
  a:  # of a
    path: artifacts/a/train/export
    type: model
    desc: mine
"""


def test_the_artifact_goes_with_the_model_and_takes_its_name() -> None:
    other = {"path": "artifacts/b/train/export", "type": "model"}
    after = yaml.safe_load(pipeline.without(graph(ARTIFACTS), "a"))
    assert after["artifacts"] == {"b": other}
    assert "artifacts" not in yaml.safe_load(pipeline.without(pipeline.without(graph(ARTIFACTS), "a"), "b"))
    text = pipeline.renamed(graph(ARTIFACTS), "a", "new")
    assert "# of a" in text.partition("new:")[2]
    assert yaml.safe_load(text)["artifacts"] == {
        "b": other,
        "new": {"path": "artifacts/new/train/export", "type": "model", "desc": "mine"},
    }


@pytest.mark.parametrize("model", ["reviews", "digits"])
def test_a_project_that_loses_a_model_is_one_that_never_had_it(model: str, root: Path) -> None:
    removing.retire(root, model, QUIET, data=False)
    left = {"reviews": "digits", "digits": "reviews"}[model]
    assert (root / "dvc.yaml").read_text() == pipeline.updated(pipeline.template(), [left])


@pytest.mark.parametrize("rename", [False, True])
def test_the_entries_of_the_model_leave_the_lock(rename: bool, root: Path) -> None:
    entries = {name: {"cmd": name} for name in ("settings", "train@reviews", "train@digits", "evaluate@reviews")}
    locks.write(root / "dvc.lock", entries)
    if rename:
        removing.rename(root, "reviews", "new", QUIET)
    else:
        removing.retire(root, "reviews", QUIET, data=False)
    assert set(locks.read(root / "dvc.lock")) == {"settings", "train@digits"}


# What is refused


@pytest.mark.parametrize(
    ("old", "new", "error", "said"),
    [
        ("review", "new", UnknownKey, "did you mean 'reviews'"),
        ("reviews", "digits", WrongValue, "has a model digits already: choose another name"),
        ("reviews", "reviews", WrongValue, "has a model reviews already"),
        ("reviews", "A b", WrongValue, "cannot name a model"),
        (
            "reviews",
            "taken",
            DataError,
            "taken exists, though params.yaml has no model taken: move it away, and rename",
        ),
    ],
)
def test_a_name_that_cannot_be_is_refused(old: str, new: str, error: type[LuodiError], said: str, root: Path) -> None:
    (root / "data" / "taken").mkdir(parents=True)
    before = everything(root)
    with pytest.raises(error, match=said):
        removing.rename(root, old, new, QUIET)
    assert everything(root) == before


def test_an_unknown_model_is_not_retired(root: Path) -> None:
    before = everything(root)
    with pytest.raises(UnknownKey, match="did you mean 'reviews'"):
        removing.retire(root, "review", QUIET, data=True)
    assert everything(root) == before


def test_data_that_is_away_or_not_as_recorded_is_left_alone(root: Path) -> None:
    (root / "data.dvc").write_text(f"outs:\n- md5: {'0' * 32}.dir\n  path: data\n")
    for error in (MissingData, SourceMismatch):
        before = everything(root)
        with pytest.raises(error):
            removing.retire(root, "reviews", QUIET, data=True)
        with pytest.raises(error):
            removing.rename(root, "reviews", "new", QUIET)
        assert everything(root) == before
        (root / "data" / "reviews").mkdir(parents=True, exist_ok=True)
    removing.retire(root, "reviews", QUIET, data=False)
    assert (root / "data" / "reviews").is_dir()


def test_one_change_at_a_time(root: Path) -> None:
    with changes.exclusive(root), pytest.raises(DataError, match="or `rename` runs in this checkout: wait"):
        removing.retire(root, "reviews", QUIET, data=False)


# With a real DVC


@pytest.fixture
def recorded(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, its data recorded and all of it committed."""
    for key in [key for key in os.environ if key.startswith(("LUODI_", "GIT_", "DVC_"))]:
        monkeypatch.delenv(key)
    (tmp_path / "gitconfig").write_text("[user]\nname = Ann\nemail = ann@localhost\n")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    for model in ("reviews", "digits"):
        (root / "data" / model).mkdir(parents=True)
        (root / "data" / model / "x.parquet").write_text(model)
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("")
    (root / ".gitignore").write_text("/data\n/.dvc/tmp\n/.dvc/cache\n/.dvc/config.local\n/.luodi\n")
    checksum = folder_checksum(root / "data")
    (root / "data.dvc").write_text(f"outs:\n- md5: {checksum}\n  hash: md5\n  path: data\n")
    monkeypatch.chdir(root)
    git("init", "--quiet", "-b", "main")
    git("add", "--all")
    git("commit", "--quiet", "--message", "One")
    return root


def git(*arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], text=True)


def command(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.slow
def test_the_commands_take_the_data_along(recorded: Path) -> None:
    (recorded / "artifacts" / "reviews").mkdir(parents=True)
    told = command("rename", "reviews", "feedback")
    assert told.startswith("renamed reviews to feedback: ")
    assert "its versions stay in the registry as reviews: `luodi models list reviews`" in told
    assert "`rm -r artifacts/reviews` removes it" in told
    assert told.endswith("  git add . && git commit -m 'Rename reviews to feedback'\n  luodi run feedback\n")
    assert (recorded / "data" / "feedback" / "x.parquet").read_text() == "reviews"
    assert not (recorded / "data" / "reviews").exists()
    assert folder_checksum(recorded / "data") in (recorded / "data.dvc").read_text()


@pytest.mark.slow
def test_what_is_retired_with_its_data_can_be_brought_back(recorded: Path) -> None:
    told = command("retire", "reviews", "--data")
    assert "data/reviews is removed; `git checkout COMMIT -- data.dvc && dvc checkout data.dvc` brings it back" in told
    assert [path.name for path in (recorded / "data").iterdir()] == ["digits"]
    assert folder_checksum(recorded / "data") in (recorded / "data.dvc").read_text()
    git("checkout", "--quiet", "HEAD", "--", "data.dvc")
    subprocess.run(["dvc", "checkout", "--quiet", "data.dvc"], check=True)
    assert sorted(path.name for path in (recorded / "data").iterdir()) == ["digits", "reviews"]


def test_the_data_stay_unless_asked(recorded: Path) -> None:
    pointer = (recorded / "data.dvc").read_bytes()
    told = command("retire", "reviews")
    assert "data/reviews stays, recorded in data.dvc: `rm -r data/reviews && dvc add data` takes it out" in told
    assert (recorded / "data" / "reviews").is_dir()
    assert (recorded / "data.dvc").read_bytes() == pointer
    assert "reviews" not in params(recorded).partition("models:")[2]


@pytest.mark.slow
@pytest.mark.parametrize("act", ["retire", "rename"])
def test_where_dvc_fails_everything_is_as_it_was(act: str, recorded: Path) -> None:
    before = everything(recorded)
    (recorded / ".dvc" / "config").write_text("[core")
    with pytest.raises(LuodiError):
        if act == "retire":
            removing.retire(recorded, "reviews", QUIET, data=True)
        else:
            removing.rename(recorded, "reviews", "new", QUIET)
    (recorded / ".dvc" / "config").write_text("")
    assert everything(recorded) == before
    assert git("status", "--porcelain") == "?? params.lock\n" * (recorded / "params.lock").exists()
