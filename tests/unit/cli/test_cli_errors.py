"""What goes wrong ends in one message, an exit code of its own, and a disk as it was: through the command line.

Most in this process, which saves the start of another a hundred times: what a process adds, some others hold.
"""

import hashlib
import io
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from project import Ended

from luodi import errors

CODES = {
    name: kind.exit_code
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.LuodiError)
}
COMMANDS = [
    "validate", "preprocess", "baseline", "train", "compress", "evaluate", "fetch", "run", "connect", "up", "gate",
    "register", "promote", "rollback", "pull", "export", "explain", "models", "models list", "models show", "predict",
    "add", "ingest", "architectures", "retire", "rename", "init", "upgrade", "params", "settings", "quarantine", "sync",
    "airflow", "report", "tune", "tune run", "tune status", "tune apply", "encoder", "encoder add", "encoder list",
    "data", "data log", "data forget", "quarantine list", "quarantine release", "quarantine discard", "labels",
    "labels review", "labels apply", "replay", "quarantine show", "labels admit", "pretrain", "serve",
    "monitor", "plots",
]  # fmt: skip
STAGES = COMMANDS[:5]
Break = Callable[[Any], object]


def parquet(*texts: Any, **changes: Any) -> bytes:
    count = len(texts)
    columns = {"text": list(texts), "label": (["positive", "negative"] * count)[:count], "source": ["s"] * count}
    sink = io.BytesIO()
    pq.write_table(pa.table({name: value for name, value in (columns | changes).items() if value is not None}), sink)
    return sink.getvalue()


OWN = (".git/index",)  # git notes there when it last looked at a file
GOOD = parquet(*(f"房间{number}很好" for number in range(600)))


def shard(content: bytes, name: str = "slice.parquet") -> Break:
    return lambda project: (project.root / "data" / "reviews" / name).write_bytes(content)


def params(pattern: str, replacement: str) -> Break:
    def change(project: Any) -> None:
        path = project.root / "params.yaml"
        changed, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), count=1)
        assert count == 1
        path.write_text(changed, encoding="utf-8")

    return change


def remove(name: str) -> Break:
    return lambda project: (project.root / name).rename(project.home / "removed")


def write(name: str, content: bytes) -> Break:
    def change(project: Any) -> None:
        (project.root / name).parent.mkdir(parents=True, exist_ok=True)
        (project.root / name).write_bytes(content)

    return change


def nothing(project: Any) -> None:
    pass


def tree(root: Path, *but: str) -> dict[str, str]:
    """Every file, folder and link below `root` with a hash of its content; `but` names what is left out."""
    left_out = tuple(str(root / name) for name in but)
    paths = (path for path in sorted(root.rglob("*")) if not str(path).startswith(left_out or "\0"))
    return {
        str(path.relative_to(root)): str(path.readlink()) if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in paths
    }  # fmt: skip


def process(project: Any, *arguments: str, cwd: Path | None = None, **env: str) -> Ended:
    """luodi in a process of its own."""
    return subprocess.run(
        [Path(sys.executable).parent / "luodi", *arguments], cwd=cwd or project.root, capture_output=True, text=True,
        check=False,
        env=project.env | {"PYTHONDONTWRITEBYTECODE": "1"} | env, stdin=subprocess.DEVNULL, timeout=300,
    )  # fmt: skip


def refused(done: Ended, error: str, message: str, alone: bool = True) -> None:
    assert "Traceback" not in done.stderr
    assert done.returncode == CODES[error], f"ended with {done.returncode}, expected {CODES[error]}:\n{done.stderr}"
    assert re.sub(r"(?m)^  still .*\n", "", done.stderr).startswith("error: ") or not alone  # on a busy machine
    assert done.stderr.count("error: ") == 1
    assert re.search(message, done.stderr), done.stderr


@dataclass(frozen=True)
class Case:
    name: str
    break_: Break
    command: str
    error: str
    message: str


PARAMS = [
    Case("no params", remove("params.yaml"), "validate reviews", "LuodiError", "no params.yaml in .* or above it"),
    Case("empty params", write("params.yaml", b""), "validate reviews", "WrongValue", "whole file"),
    Case("broken params", write("params.yaml", b"models: ["), "validate reviews", "ParamsError", "not YAML in UTF-8"),
    Case("broken params up", write("params.yaml", b"models: ["), "up", "ParamsError", "not YAML in UTF-8"),
    Case("misspelt key", params("epochs:", "epoch:"), "train reviews", "UnknownKey", "did you mean 'epochs'"),
    Case("misspelt block", params("validate:", "valdate:"), "run reviews", "UnknownKey", "did you mean 'validate'"),
    Case("wrong type", params(r"epochs: \d+", "epochs: many"), "train reviews", "WrongValue", "integer, found 'many'"),
    Case("out of range", params(r"dropout: \S+", "dropout: 1.5"), "evaluate reviews", "WrongValue", "found 1.5"),
    Case("shares", params("train: 0.8", "train: 0.7"), "preprocess reviews", "WrongValue", "must sum to 1"),
    *(
        Case(
            f"typo {command}", nothing, f"{command} reveiws", "UnknownKey", "no model 'reveiws'.*did you mean 'reviews'"
        )
        for command in (
            "validate",
            "preprocess",
            "baseline",
            "train",
            "compress",
            "evaluate",
            "run",
            "gate",
            "register",
        )
    ),
]

DATA = [
    Case("no folder", remove("data"), "validate reviews", "MissingData", "no .*parquet in .*luodi fetch"),
    Case("no shard", remove("data/reviews/slice.parquet"), "validate reviews", "MissingData", "no .*parquet in"),
    Case("no row", shard(parquet()), "validate reviews", "EmptyData", "hold no row"),
    Case("no typed row", shard(parquet(text=pa.array([], pa.string()), label=pa.array([], pa.string()),
         source=pa.array([], pa.string()))), "validate reviews", "EmptyData", "hold no row"),
    Case("empty file", shard(b""), "validate reviews", "BrokenData", "slice.parquet is not a readable Parquet file"),
    Case("text file", shard(b"text,label\n" * 9), "validate reviews", "BrokenData", "slice.parquet is not a readable"),
    Case("truncated", shard(GOOD[:2000]), "validate reviews", "BrokenData", "slice.parquet is not a readable"),
    Case("second broken", shard(GOOD[:2000], "z.parquet"), "validate reviews", "BrokenData", "z.parquet is not a"),
    Case("no label", shard(parquet("好", label=None)), "validate reviews", "MissingColumn", "missing label"),
    Case("numbers", shard(parquet(1, 2, 3)), "validate reviews", "BrokenData", "found text is int64"),
    Case("lists", shard(parquet(["好"], ["坏"])), "validate reviews", "BrokenData", "found text is list"),
    Case("label numbers", shard(parquet("a", "b", label=[0, 1])), "validate reviews", "BrokenData", "label is int64"),
    Case("unknown dataset", params("  reviews:", "  hotel:"), "fetch hotel", "MissingData", "no embedded dataset"),
]  # fmt: skip

ARTIFACTS = [
    Case("preprocess first", nothing, "preprocess reviews", "ArtifactError", "clean.parquet does not exist: run"),
    Case("baseline first", nothing, "baseline reviews", "ArtifactError", "rows.parquet does not exist: run"),
    Case("train first", nothing, "train reviews", "ArtifactError", "encoder.json does not exist: run"),
    Case("compress first", nothing, "compress reviews", "ArtifactError", "encoder.json does not exist: run"),
    Case("evaluate first", nothing, "evaluate reviews", "ArtifactError", "rows.parquet does not exist: run"),
    *(
        Case(f"broken {name}", write(f"artifacts/reviews/{name}", b"x"), f"{stage} reviews", "ArtifactError", message)
        for stage, name, message in (
            ("preprocess", "validate/clean.parquet", "clean.parquet cannot be read"),
            ("baseline", "preprocess/rows.parquet", "rows.parquet cannot be read"),
            ("train", "preprocess/encoder.json", "encoder.json is not an encoder"),
            ("evaluate", "preprocess/rows.parquet", "rows.parquet cannot be read"),
        )
    ),
]

GIT = [
    Case("no origin predict", nothing, "predict reviews 好", "NotARepository", "no git origin: expected LUODI_GIT_URL"),
    Case("no origin models", nothing, "models", "NotARepository", "no git origin: expected LUODI_GIT_URL"),
    Case("dirty register", params("owner: luodi", "owner: me"), "register reviews", "DirtyCheckout", "params.yaml"),
    Case("dirty run", params("owner: luodi", "owner: me"), "run reviews", "DirtyCheckout", "commit or stash them"),
    Case("untracked", write("notes.txt", b"x"), "register reviews", "DirtyCheckout", r"\(notes.txt\)"),
    Case("conflict", write("dvc.lock", b"<<<<<<< HEAD\nstages:\n=======\n"), "register reviews", "ArtifactError",
         "dvc.lock is not a dvc.lock"),
]  # fmt: skip


@pytest.fixture(scope="module")
def light(make_project: Callable[..., Any]) -> Any:
    """The small project without luodi's own files, which this process has, for copies by the dozen."""
    project = make_project("light")
    project.git("rm", "-r", "--quiet", "src", "docker")
    project.git("commit", "--quiet", "--message", "Leave out luodi")
    shutil.rmtree(project.root / "src")
    return project


@pytest.mark.slow
@pytest.mark.parametrize("case", PARAMS + DATA + ARTIFACTS + GIT, ids=lambda case: case.name)
def test_it_is_refused_and_nothing_changes(
    case: Any, light: Any, request: pytest.FixtureRequest, luodi: Callable[..., Any]
) -> None:
    project = light.copy(re.sub(r"\W+", "-", request.node.name))
    case.break_(project)
    before = tree(project.root, *OWN)
    refused(luodi(project, *case.command.split()), case.error, case.message)
    after = tree(project.root, *OWN)
    assert {name for name in before | after if before.get(name) != after.get(name)} == set()


@pytest.mark.slow
def test_outside_of_a_project(make_project: Callable[..., Any], tmp_path: Path) -> None:
    done = process(make_project("outside"), "validate", "reviews", cwd=tmp_path)
    refused(done, "LuodiError", f"no params.yaml in {tmp_path} or above it")


@pytest.mark.slow
def test_a_file_in_the_way(make_project: Callable[..., Any]) -> None:
    project = make_project("in-the-way")
    shutil.rmtree(project.root / ".dvc")
    write(".dvc", b"")(project)
    refused(process(project, "connect"), "LuodiError", r"\.dvc: File exists")
    assert (project.root / ".dvc").read_bytes() == b""


@pytest.mark.slow
def test_from_a_folder_inside_the_project(make_project: Callable[..., Any], luodi: Callable[..., Any]) -> None:
    project = make_project("inside")
    done = luodi(project, "preprocess", "reviews", cwd=project.root / "data")
    refused(done, "ArtifactError", "clean.parquet does not exist")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (
            parquet(*(f"房间{i}" for i in range(600)), label=["positive", "neutral"] * 300),
            "ValidationFailed",
            "neutral",
        ),
        (parquet(*["\u200b"] * 600), "NothingLeft", "every row of reviews was quarantined"),
        (parquet(*(f"房间{i}" for i in range(600)), label=pa.nulls(600)), "NothingLeft", "every row"),
        (
            parquet("好", "坏"),
            "ValidationFailed",
            r"Enough rows: expected at least 500 rows \(validate.min_rows\); found 2 rows",
        ),
    ],
    ids=["unknown label", "blank", "no label", "few rows"],
)
def test_bad_rows_end_in_a_report_and_a_code(
    content: bytes, error: str, message: str, make_project: Callable[..., Any], luodi: Callable[..., Any]
) -> None:
    project = make_project(re.sub(r"\W+", "-", message))
    shard(content)(project)
    before = tree(project.root, "artifacts")
    refused(luodi(project, "validate", "reviews"), error, message)
    assert tree(project.root, "artifacts") == before
    assert (project.root / "artifacts" / "reviews" / "validate" / "report.html").exists()


ORIGINS = ["/nowhere/x.git", "file:///nowhere/x.git", "http://me:secret@127.0.0.1:9/x.git", "git://127.0.0.1:9/x.git",
           "ssh://me@127.0.0.1:9/x.git"]  # fmt: skip
ASKING = ["models", "predict reviews 好", "register reviews"]
MOVING = ["models show reviews", "gate reviews", "rollback reviews", "promote reviews@v1.0.0", "pull reviews there"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "command"), [*itertools.product(ORIGINS, ASKING), *itertools.product(ORIGINS[2:3], MOVING)]
)
def test_an_unreachable_git_origin(
    url: str, command: str, light: Any, tmp_path: Path, luodi: Callable[..., Any]
) -> None:
    project = light.copy(re.sub(r"\W+", "-", f"{url} {command}"))
    before = tree(project.root, *OWN)
    done = luodi(project, *command.split(), LUODI_GIT_URL=url, LUODI_HOME=str(tmp_path))
    refused(done, "RemoteError", r"git origin \S+ cannot be reached: ")
    assert "secret" not in done.stderr
    assert tree(project.root, *OWN) == before
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.slow
def test_no_identity(make_project: Callable[..., Any], tmp_path: Path, luodi: Callable[..., Any]) -> None:
    project = make_project("no-identity")
    (project.home / "gitconfig").write_text("")
    before = tree(project.root, *OWN)
    done = luodi(project, "register", "reviews", LUODI_GIT_URL=str(project.root), LUODI_HOME=str(tmp_path), EMAIL="")
    refused(done, "NoIdentity", "expected user.name and user.email.*git config --global user.name")
    assert tree(project.root, *OWN) == before


@pytest.mark.slow
def test_nothing_trained_yet(make_project: Callable[..., Any], tmp_path: Path, luodi: Callable[..., Any]) -> None:
    project = make_project("untrained")
    before = tree(project.root, *OWN)
    done = luodi(project, "register", "reviews", LUODI_GIT_URL=str(project.root), LUODI_HOME=str(tmp_path))
    refused(done, "ArtifactError", "dvc.lock has no entry of reviews .*run `dvc repro` first")
    assert tree(project.root, *OWN) == before


@pytest.mark.slow
@pytest.mark.parametrize("branch", ["", "gone"])
def test_an_origin_without_versions(
    branch: str, make_project: Callable[..., Any], tmp_path: Path, luodi: Callable[..., Any]
) -> None:
    project = make_project(f"no-versions-{branch}")
    env = {"LUODI_GIT_URL": str(project.root), "LUODI_HOME": str(tmp_path), "LUODI_GIT_BRANCH": branch}
    before = tree(project.root)
    for arguments in (
        ["predict", "reviews", "好"],
        ["predict", "reviews@v1.0.0", "好"],
        ["models", "list", "reviews"],
    ):
        refused(luodi(project, *arguments, **env), "NoVersion", "no version of reviews at all")
    done = luodi(project, "models", **env)
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(project.root) == before


@pytest.fixture(scope="module")
def tagged(reproduced: Any, make_project: Callable[..., Any]) -> Any:
    """A project whose commit carries a version of the trained model; its bytes are in no DVC remote."""
    project = reproduced.project.copy("tagged")
    project.git("add", "--force", "dvc.lock")
    project.git("commit", "--quiet", "--message", "Lock")
    export = next(out["md5"] for out in project.lock["train@reviews"]["outs"] if out["path"].endswith("export"))
    facts = f'{{"export": "{export}"}}'
    project.git("tag", "--annotate", "reviews@v1.0.0", "--message", f"x\n\n{facts}")
    project.git("tag", "--annotate", "reviews#production#1", "--message", "x")
    return project


UNREACHABLE = ["http://127.0.0.1:9/remote", "/nowhere/remote"]


@pytest.mark.slow
@pytest.mark.parametrize("remote", UNREACHABLE)
def test_an_unreachable_dvc_remote_of_predict(
    remote: str, tagged: Any, tmp_path: Path, luodi: Callable[..., Any]
) -> None:
    before = tree(tagged.root)
    env = {"LUODI_GIT_URL": str(tagged.root), "LUODI_HOME": str(tmp_path / "home"), "LUODI_DVC_REMOTE": remote}
    refused(luodi(tagged, "predict", "reviews", "好", **env), "RemoteError", "the DVC remote cannot be used")
    assert tree(tagged.root) == before
    assert not (tmp_path / "home" / "models").exists()
    assert "reviews@v1.0.0" in luodi(tagged, "models", **env).stdout


@pytest.mark.slow
@pytest.mark.parametrize("remote", UNREACHABLE[:1])
def test_an_unreachable_dvc_remote_of_register(
    remote: str, tagged: Any, tmp_path: Path, luodi: Callable[..., Any]
) -> None:
    before = tree(tagged.root, ".dvc/tmp", *OWN)
    env = {"LUODI_GIT_URL": str(tagged.root), "LUODI_HOME": str(tmp_path / "home"), "LUODI_DVC_REMOTE": remote}
    refused(luodi(tagged, "register", "reviews", **env), "RemoteError", "the DVC remote cannot be used")
    assert tree(tagged.root, ".dvc/tmp", *OWN) == before


@pytest.fixture
def full_disk(reproduced: Any, request: pytest.FixtureRequest) -> Iterator[tuple[Any, Callable[[int], None]]]:
    """The artifacts of a whole run on a file system of their own, and a function that leaves so many bytes free."""
    project = reproduced.project.copy(re.sub(r"\W+", "-", request.node.name))
    folder = project.root / "artifacts"
    aside = folder.rename(project.home / "artifacts")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs needs root")
    subprocess.run(["cp", "-rL", f"{aside}/.", folder], check=True)

    def leave(free: int) -> None:
        space = os.statvfs(folder)
        (folder / "filler").write_bytes(bytes(space.f_bavail * space.f_frsize - free))

    yield project, leave
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("free", [0, pytest.param(40960, marks=pytest.mark.proof)])
@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk(stage: str, free: int, full_disk: tuple[Any, Callable[..., Any]]) -> None:
    project, leave = full_disk
    (project.root / "artifacts" / "reviews" / stage).mkdir(exist_ok=True)  # no model here has the optional stages
    leave(free)
    before = tree(project.root, ".luodi/checkpoints")  # where training goes on the next time
    done = process(project, stage, "reviews", TMPDIR=str(project.home))
    if free and done.returncode == 0:
        assert stage in ("baseline", "evaluate")  # their outputs are small
    else:
        noisy = stage == "train"  # Keras' converter to ONNX warns on import
        refused(done, "DiskFull", "the disk is full.*: free some space and run the command again", alone=not noisy)
    after = tree(project.root, ".luodi/checkpoints")
    assert after.keys() == before.keys()
    if stage != "evaluate":  # the rest is determined by the data
        assert after == before


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str, luodi: Callable[..., Any], tmp_path: Path) -> None:
    done = luodi(tmp_path, *command.split(), "--help")
    assert done.returncode == 0
    assert re.search(rf"Examples?: (.*&& )?luodi {command}\b", " ".join(done.stdout.split())) or command == "connect"
    assert f"luodi {command}" in done.stdout


def test_the_commands_are_those_tested_here() -> None:
    import typer

    from luodi.cli.commands import app

    group: Any = typer.main.get_command(app)
    known = group.commands
    inner = {f"{name} {one}" for name, command in known.items() for one in getattr(command, "commands", ())}
    assert known.keys() | inner == set(COMMANDS)


@pytest.mark.parametrize(
    "line",
    ["", "nope", "validate", "validate --nope", "validate a b", "predict reviews", "predict reviews 好 --input x.csv",
     "serve", "serve reviews@v1.0.0", "up --port 99999", "up --port 0", "up --port -1"],
)  # fmt: skip
def test_a_wrong_use_shows_the_usage(line: str, luodi: Callable[..., Any], tmp_path: Path) -> None:
    done = luodi(tmp_path, *line.split())
    assert done.returncode == 2
    assert "Usage: luodi" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["validate", "--help"], ["predict", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code = f"""
import sys
from luodi.cli.commands import app
try:
    app({arguments!r})
except SystemExit as end:
    assert end.code == 0
heavy = {{"pyarrow", "numpy", "pandas", "tensorflow", "great_expectations", "dvc", "airflow", "yaml", "jinja2"}}
print(*sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "Usage: " in done.stdout
    assert done.stderr.split() == []


def test_every_error_has_an_exit_code_of_its_own_and_a_place_in_the_tree() -> None:
    assert len(set(CODES.values())) == len(CODES)
    assert not set(CODES.values()) & {0, 2}  # success, and wrong use of the command line
    drawn = dict(re.findall(r"(\w+) +(\d+)(?:  |\n)", errors.__doc__ or ""))
    assert {name: int(code) for name, code in drawn.items()} == CODES


def test_the_parents_are_those_drawn() -> None:
    depth = {
        name: line.index(name) for line in (errors.__doc__ or "").splitlines() for name in CODES if f"{name} " in line
    }
    stack: list[str] = []
    for name, indent in depth.items():
        while stack and depth[stack[-1]] >= indent:
            stack.pop()
        assert not stack or getattr(errors, name).__base__.__name__ == stack[-1]
        stack.append(name)
