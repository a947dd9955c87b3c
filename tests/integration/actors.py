"""A tiny project with ready-made challengers, and actors: real processes that stop before each command they run.

An actor is forked from a process that has imported everything. git runs as it always does, but DVC in the actor itself:
a real DVC on a real remote, without the second that its start takes. Linux only.
"""

import contextlib
import copy
import ctypes
import functools
import hashlib
import importlib
import io
import json
import logging
import os
import runpy
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from onnx import TensorProto, helper, numpy_helper
from project import full

from luodi import config
from luodi.checks import nearest
from luodi.config import locked
from luodi.data.text import Encoder
from luodi.errors import LuodiError
from luodi.files import checksum, folder_checksum, read_json, write_json
from luodi.project import graph, locks
from luodi.project.origin import Origin
from luodi.project.paths import ModelPaths
from luodi.registry.records import AUTO, Approval, Decision, Verdict
from luodi.scoring import inference
from luodi.stages import evaluate
from luodi.system.processes import CommandFailed, Runner

MODELS = {"quick": "auto", "careful": "human"}
"""Model -> register.approval."""
HUMAN = Approval(mode="human", by="Li", at=datetime(2024, 5, 1, tzinfo=UTC), comment="seen")
SPLITS = {"train": 20, "validation": 20, "test": 160}
QUALITY = {"hopeless": 0.4, "weak": 0.7, "similar": 0.71, "good": 0.86, "again": 0.86, "best": 0.98}
"""Challenger -> accuracy. `similar` cannot be told from `weak`; `again` is `good` with another report."""
LENGTH = 3 + len(QUALITY)
SURE = 3.0  # the logit of what a model says

GRAPH = """\
stages:
  validate:
    foreach: ${models}
    do:
      cmd: luodi validate ${key}
      deps: ["data/${key}"]
      outs: ["artifacts/${key}/validate/summary.json"]
  preprocess:
    foreach: ${models}
    do:
      cmd: luodi preprocess ${key}
      params: [{params.lock: ["models.${key}.preprocess"]}]
      outs: ["artifacts/${key}/preprocess/rows.parquet", "artifacts/${key}/preprocess/summary.json"]
  train:
    foreach: ${models}
    do:
      cmd: luodi train ${key}
      params: [{params.lock: ["models.${key}.labels"]}]
      outs: ["artifacts/${key}/train/export"]
  evaluate:
    foreach: ${models}
    do:
      cmd: luodi evaluate ${key}
      outs:
        - artifacts/${key}/evaluate/sample.json
        - artifacts/${key}/evaluate/report.html
        - artifacts/${key}/evaluate/metrics.json
"""
"""The outputs that a landing reads and one that it does not: DVC parses this a thousand times here."""

GITCONFIG = """\
[user]
name = Tester
email = tester@localhost
[gc]
auto = 0
[maintenance]
auto = false
[core]
fsync = none
"""

FOREIGN = ("LUODI_", "GIT_", "DVC_", "AIRFLOW", "PYTHON")
"""How variables begin that must not be taken from whoever runs the tests."""


def git(cwd: Path, *arguments: str, stdin: str | None = None) -> str:
    """Run git, expect success, return its output."""
    done = subprocess.run(["git", *arguments], cwd=cwd, input=stdin, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"git {arguments} in {cwd}: {done.stdout}{done.stderr}"
    return done.stdout.rstrip("\n")


# The tiny project


@dataclass(frozen=True)
class Template:
    """Where `origin.git`, `remote` (empty) and `cache` (with all challengers' files) are.

    Attributes:
        commit: The one commit of main.
        entries: (model, challenger) -> its lock entries.
    """

    folder: Path
    commit: str
    entries: Mapping[tuple[str, str], Mapping[str, Any]]


def make(folder: Path) -> Template:
    """Make the project and all challengers' files, in a DVC cache; nothing has landed.

    Done in a process of its own: Arrow and ONNX Runtime start threads, and what is forked from must have none.
    """
    note = folder / "entries.json"

    def work() -> int:
        write_json(note, [[*key, entries] for key, entries in make_here(folder).items()])
        return 0

    code, output = forked(work)
    assert code == 0, output
    entries = {(model, name): found for model, name, found in read_json(note)}
    return Template(folder, git(folder / "origin.git", "rev-parse", "main"), entries)


def make_here(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    checkout, origin = folder / "checkout", folder / "origin.git"
    git(folder, "init", "--quiet", "-b", "main", str(checkout))
    (folder / "remote").mkdir()
    (checkout / "params.yaml").write_text(yaml.safe_dump(_params(), sort_keys=False))
    locked.write(checkout)
    (checkout / "dvc.yaml").write_text(GRAPH)
    (checkout / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    (checkout / "data.dvc").write_text("outs: []\n")
    (checkout / ".gitignore").write_text("/artifacts\n/data\n/.dvc/config.local\n/.dvc/tmp\n/.dvc/cache\n")
    (checkout / ".dvc").mkdir()
    (checkout / ".dvc" / "config").touch()
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "-m", "A tiny project")
    git(folder, "clone", "--quiet", "--bare", str(checkout), str(origin))
    shutil.rmtree(origin / "hooks")
    git(origin, "repack", "-adq")
    return {(model, name): _challenger(checkout, folder / "cache", model, name) for model in MODELS for name in QUALITY}


def _params() -> dict[str, Any]:
    """The repository's own block for reviews, with rules that leave the decision to the accuracy."""
    block = full("reviews")
    block["preprocess"] |= {"tokenizer": "char", "max_length": LENGTH}
    block["train"] |= {"architecture": "mlp"}
    block["evaluate"] |= {"bootstrap": 20, "explained": 0}
    block["gate"] |= {
        "minimum": 0.5, "resamples": 1000, "max_slice_loss": 1.0, "max_latency_ms": 10000.0,
        "max_calibration_error": 1.0, "baseline_margin": 1.0,
        "false_landings": {"rate": 0.2, "per": "year", "looks": 20},  # 160 rows prove little
    }  # fmt: skip
    approval = {name: {"register": {"approval": mode, "timeout_hours": 1}} for name, mode in MODELS.items()}
    return {"models": {name: block | approval[name] for name in MODELS}}


def _challenger(checkout: Path, cache: Path, model: str, name: str) -> dict[str, Any]:
    """Do by hand what the stages would have done, but let evaluate run; return the lock entries."""
    params = yaml.safe_load((checkout / "params.yaml").read_text())
    paths = ModelPaths(checkout, model)
    shutil.rmtree(checkout / "artifacts", ignore_errors=True)
    for path in (paths.rows, paths.validation_summary, paths.baseline_scores, paths.export / "model.onnx"):
        path.parent.mkdir(parents=True)
    _write_rows(paths.rows)
    far = np.zeros(SPLITS["test"])
    pq.write_table(nearest.table(np.arange(len(far)), np.full(len(far), -1), far, {"alike": 0.5}), paths.nearest)
    write_export(paths.export, tuple(params["models"][model]["labels"]), "good" if name == "again" else name)
    write_json(paths.validation_summary, {"rows": 210, "clean": 200, "quarantined": 10, "duplicates": 0})
    write_json(paths.preprocess_summary, {"rows": SPLITS, "sources": {"shop": sum(SPLITS.values())}})
    np.save(paths.baseline_scores, np.full((SPLITS["test"], 2), 0.5, np.float32), allow_pickle=False)
    write_json(paths.choice, {"chosen": "linear", "metric": "accuracy", "validation": {}})
    with contextlib.redirect_stdout(io.StringIO()):
        evaluate.run(config.settings_of(config.load(paths.params), model), paths)
    paths.evaluation_report.write_text(f"The report of {name}.\n")

    def value(key: str) -> Any:
        _, _, block = key.split(".")
        return params["models"][model][block]

    return {
        f"{stage}@{model}": {
            "cmd": f"luodi {stage} {model}",
            "deps": [{"path": path, "hash": "md5", **_DATA} for path in body["deps"]],
            "params": {
                "luodi.lock": {f"stages.text.{stage}": {"code": "1" * 32, "numpy": "2.4.6"}},
                "params.lock": {key: value(key) for key in (one.partition(":")[2] for one in body["params"])},
            },
            "outs": [{"path": path, "hash": "md5", **put(cache, checkout / path)} for path in body["outs"]],
        }
        for stage, body in graph.stages(checkout / "dvc.yaml", model, "text").items()
    }


_DATA = {"md5": hashlib.md5(b"data").hexdigest() + ".dir", "size": 1, "nfiles": 1}


def put(cache: Path, path: Path) -> dict[str, Any]:
    """Put a file or a folder into a DVC cache; return what dvc.lock says of it."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files)
    for file in files:
        _store(cache, checksum(file), file.read_bytes())
    if not path.is_dir():
        return {"md5": checksum(path), "size": size}
    md5 = folder_checksum(path)
    _store(cache, md5, json.dumps([{"md5": checksum(file), "relpath": file.name} for file in files]).encode())
    return {"md5": md5, "size": size, "nfiles": len(files)}


def _store(cache: Path, md5: str, content: bytes) -> None:
    path = stored(cache, md5)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def stored(store: Path, md5: str) -> Path:
    """Where a DVC cache or remote keeps a file."""
    return store / "files" / "md5" / md5[:2] / md5[2:]


def _write_rows(path: Path) -> None:
    """Rows whose letters say what each challenger is to say of them: right on its share of each split."""
    rng = np.random.default_rng(7)
    split = np.repeat(list(SPLITS), list(SPLITS.values()))
    label = rng.permutation(np.arange(len(split)) % 2).astype(np.int32)
    right = [rng.permuted(np.arange(len(split)) < share * len(split)) for share in QUALITY.values()]
    says = np.where(right, label, 1 - label)
    texts = [f"{row:03d}" + "".join(map(_letter, range(len(QUALITY)), says[:, row])) for row in range(len(split))]
    pq.write_table(pa.table({"text": texts, "label": label, "source": ["shop"] * len(split), "split": split}), path)


def _letter(place: int, says: int) -> str:
    return chr(ord("a") + 2 * place + says)


def write_export(folder: Path, labels: tuple[str, ...], name: str) -> None:
    """A model that goes by the letters of challenger `name`."""
    letters = tuple(_letter(place, says) for place in range(len(QUALITY)) for says in (0, 1))
    encoder = Encoder(labels, "char", LENGTH, 1, (), letters)
    weights = np.zeros((encoder.size, len(labels)), np.float32)
    first = 2 + 2 * list(QUALITY).index(name)
    weights[first, labels.index("negative")] = weights[first + 1, labels.index("positive")] = SURE
    nodes = [
        helper.make_node("Gather", ["weights", "x"], ["votes"]),
        helper.make_node("ReduceSum", ["votes", "axis"], ["logits"], keepdims=0),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    made = helper.make_graph(
        nodes, "luodi",
        [helper.make_tensor_value_info("x", TensorProto.INT32, ["batch", encoder.length])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(labels)])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([1]), "axis")],
    )  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"luodi": json.dumps(inference.facts(encoder), sort_keys=True)})
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    write_json(folder / "encoder.json", encoder.as_json())


def copy_world(source: Path, target: Path, template: Template) -> Origin:
    """Copy an origin and a remote; make a home whose DVC cache has the files of all challengers."""
    for name in ("origin.git", "remote"):
        shutil.copytree(source / name, target / name)
    (target / "home").mkdir()
    (target / "home" / "cache").symlink_to(template.folder / "cache")
    return origin_of(target)


def origin_of(world: Path) -> Origin:
    return Origin(str(world / "origin.git"), "main", str(world / "remote"), world / "home")


@dataclass(frozen=True)
class World:
    """A git origin and a DVC remote of one's own, and what is done there in this process.

    Attributes:
        commit: Of the runs.
        runner: Runs their commands.
    """

    template: Template
    origin: Origin
    commit: str
    runner: Runner

    def entries(self, model: str, challenger: str) -> dict[str, Any]:
        """The lock entries of a challenger, free to be changed."""
        return copy.deepcopy(dict(self.template.entries[model, challenger]))

    def land(self, model: str, what: str | Mapping[str, Any], **more: Any) -> Any:
        """Register a challenger, or entries, as `luodi.registry.promotion` does."""
        from luodi.registry import promotion

        entries = self.entries(model, what) if isinstance(what, str) else what
        return promotion.register(self.origin, self.commit, model, entries, self.runner, **more)

    def judge(self, model: str, what: str | Mapping[str, Any], **more: Any) -> Decision:
        from luodi.registry import champion

        entries = self.entries(model, what) if isinstance(what, str) else what
        return champion.decide(self.origin, self.commit, model, entries, self.runner, **more)

    def move(self, model: str, number: str | None, action: str = "promote") -> Any:
        from luodi.registry import promotion

        return promotion.move(self.origin, model, number, self.runner, action=action, reason="because")

    def git(self, *arguments: str) -> str:
        return git(Path(self.origin.git), *arguments)

    def refs(self) -> str:
        """All refs but the looks, which every judgement leaves."""
        return self.git("for-each-ref", "refs/heads", "refs/tags")

    def looks(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname)", "refs/luodi/looks").splitlines()

    def stages(self, model: str) -> dict[str, str | None]:
        """Number -> stage of its versions, newest first."""
        from luodi.registry import tags

        return {version.number: version.stage for version in tags.versions(Path(self.origin.git), model)}

    def facts(self, tag: str) -> dict[str, Any]:
        """The JSON of a tag's message."""
        return dict(json.loads(self.git("tag", "--list", "--format=%(contents:body)", tag)))


def record(entries: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What lock entries say of the output of that name; to change it changes them."""
    (found,) = [out for entry in entries.values() for out in entry["outs"] if Path(out["path"]).name == name]
    known: dict[str, Any] = found
    return known


def with_params(world: World, files: Mapping[str, str] | None = None, **blocks: dict[str, Any]) -> World:
    """The world after somebody pushed a change of params.yaml, and new files, its runs of that commit."""
    clone = Path(world.origin.home) / "person"
    git(world.origin.home, "clone", "--quiet", world.origin.git, str(clone))
    params = yaml.safe_load((clone / "params.yaml").read_text())
    for model, block in blocks.items():
        params["models"][model] |= block
    (clone / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for name, text in (files or {}).items():
        (clone / name).write_text(text)
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--all", "-m", "Change params")
    git(clone, "push", "--quiet", "origin", "main")
    return replace(world, commit=git(clone, "rev-parse", "HEAD"))


def spare_time(change: Callable[[Any, str, Any], None] = setattr) -> None:
    """Leave out what costs time and decides nothing here. `change` sets an attribute, for as long as is wanted.

    DVC reads and checks the same YAML a dozen times a command, with a slow parser, and makes a parser of all its
    commands for each. Latency need not be measured well, nor intervals that are
    only shown.
    """
    import dvc.cli.parser
    import dvc.utils.serialize._yaml
    import dvc.utils.strictyaml

    from luodi.registry import champion, evidence

    read = functools.cache(functools.partial(yaml.load, Loader=yaml.CSafeLoader))
    check, checked = dvc.utils.strictyaml.validate, set[Any]()

    def parse(text: str, *_: object, **__: object) -> Any:
        return copy.deepcopy(read(text)) or {}

    def validate(data: Any, schema: Any, text: str, *rest: object, **more: object) -> Any:
        if (text, id(schema)) not in checked:
            check(data, schema, text, *rest, **more)
            checked.add((text, id(schema)))
        return data

    for module in (dvc.utils.serialize, dvc.utils.serialize._yaml, dvc.utils.strictyaml):
        change(module, "parse_yaml", parse)
    change(dvc.utils.strictyaml, "validate", validate)
    change(yaml, "SafeLoader", yaml.CSafeLoader)
    change(dvc.cli.parser, "get_main_parser", functools.cache(dvc.cli.parser.get_main_parser))
    dvc.cli.parser.get_main_parser()
    for module in (champion, evaluate):
        change(module, "REPEATS", 1)
    change(evidence, "DRAWS", 20)


# Processes

DIE_WITH_PARENT, ADOPT_ORPHANS = 1, 36
PATIENCE = 120  # seconds for one command
JOBS = 30  # of one actor: memory grows


def prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def forked(work: Callable[[], int]) -> tuple[int, str]:
    """Do `work` in a process of its own that dies with this one; return its exit code and what it printed."""
    read, write = os.pipe()
    if pid := os.fork():
        os.close(write)
        with os.fdopen(read, encoding="utf-8", errors="replace") as stream:
            output = stream.read()
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output
    code = 1
    try:
        prctl(DIE_WITH_PARENT, signal.SIGKILL)
        os.dup2(write, 1)
        os.dup2(write, 2)
        sys.stdout = sys.stderr = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


class Local(Runner):
    """Does in this process what another Python would do. Nobody answers what it asks."""

    def __init__(self) -> None:
        super().__init__(lambda line: None)

    def run(self, *command: str, cwd: Path, env: Any = None, stream: bool = False, umask: int = -1) -> str:
        if command[0] != sys.executable:
            return super().run(*command, cwd=cwd, env=env, stream=stream, umask=umask)
        with _as_another(cwd, env or {}) as printed:
            code = _run_python(command[1:])
        if code:
            raise CommandFailed(command, code, printed.getvalue())
        return printed.getvalue()

    def ask(self, *what: str) -> bool:
        return False


@contextlib.contextmanager
def _as_another(cwd: Path, env: Any) -> Iterator[io.StringIO]:
    """Let this process be another for a while: where it is, its environment, and where it prints to."""
    import colorama

    printed, before = io.StringIO(), dict(os.environ)
    handlers = [handler for handler in logging.getLogger("dvc").handlers if isinstance(handler, logging.StreamHandler)]
    streams = [handler.stream for handler in handlers]
    for handler in handlers:
        handler.stream = printed
    os.environ.update(env)
    try:
        with contextlib.chdir(cwd), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            colorama.init()  # DVC turns it off to print, which brings back what was standard output at this point
            yield printed
    finally:
        os.environ.clear()
        os.environ.update(before)
        for handler, stream in zip(handlers, streams, strict=True):
            handler.stream = stream


def called(command: Sequence[str]) -> tuple[str, ...]:
    """What a command is: ("dvc", "pull"), ("git", "push"), or ("git", "look") where what is pushed is one."""
    if command[0] != "git":
        return "dvc", command[3]
    look = command[1] == "push" and any("refs/luodi/looks" in one for one in command)
    return "git", "look" if look else command[1]


class Meddler(Local):
    """Lets something happen in the instant before a command, or after it, the first time that it is run.

    Attributes:
        when: Of which command, such as ("git", "push").
        what: Called with the folder in which it is run.
    """

    def __init__(self, when: tuple[str, str], what: Callable[[Path], object], after: bool = False) -> None:
        super().__init__()
        self.when, self.what, self.after = when, what, after
        self.happened = 0

    def run(self, *command: str, cwd: Path, env: Any = None, stream: bool = False, umask: int = -1) -> str:
        due = called(command) == self.when and not self.happened
        self.happened += due
        if due and not self.after:
            self.what(cwd)
        output = super().run(*command, cwd=cwd, env=env, stream=stream, umask=umask)
        if due and self.after:
            self.what(cwd)
        return output


def _run_python(arguments: Any) -> int:
    """Run `python -P FILE ...` here; return its exit code."""
    option, file, *rest = arguments
    assert option == "-P", arguments
    sys.argv = [file, *rest]
    try:
        runpy.run_path(file, run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def preload(work: Callable[[Local], object], path: Path) -> None:
    """Import here whatever is imported when `work` is done elsewhere; `path` is for a note."""

    def do() -> int:
        work(Local())
        path.write_text("\n".join(sys.modules))
        return 0

    code, output = forked(do)
    assert code == 0, output
    for name in path.read_text().splitlines():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


STOPS = {"clone", "fetch", "push", "look", "commit-tree", "ls-remote"}
"""Commands of git that others see, or that see others."""


class Stepped(Local):
    """Asks before each command. The answer may be that its outcome gets lost on the way back."""

    def __init__(self, link: Connection) -> None:
        super().__init__()
        self._link = link

    def run(self, *command: str, cwd: Path, env: Any = None, stream: bool = False, umask: int = -1) -> str:
        program = called(command)
        lost = self.ask(*program) if program[0] == "dvc" or program[1] in STOPS else False
        output = super().run(*command, cwd=cwd, env=env, stream=stream, umask=umask)
        if lost:
            raise CommandFailed(command, 128, "fatal: Could not read from remote repository.")
        return output

    def ask(self, *what: str) -> bool:
        self._link.send(what)
        return bool(self._link.recv())


# Jobs


@dataclass(frozen=True)
class Outcome:
    """How an actor ended: "landed", "refused", "moved" or "pushed" and of what; or "failed" with an error of ours.

    Attributes:
        what: Name of a version, the gate's verdict, or the class of the error.
        why: The message of the error.
    """

    kind: str
    what: str
    why: str = ""


@dataclass(frozen=True)
class Plan:
    """What an actor is to do.

    Attributes:
        kind: "push" the challenger's files to the DVC remote, or "half" of them; "register" it, or "land" it, which is
            both; "promote" its version, "rollback", or "open" what is in production.
    """

    kind: str
    model: str
    challenger: str


def do(plan: Any, template: Any, origin: Any, runner: Any) -> Any:
    """Do what the plan says."""
    work = {
        "land": _land, "register": _register, "push": _push, "half": _push, "promote": _promote, "rollback": _rollback,
        "open": _open,
    }  # fmt: skip
    return work[plan.kind](plan, template, origin, runner)


def _land(plan: Plan, template: Template, origin: Origin, runner: Local) -> Outcome:
    _push(plan, template, origin, runner)
    return _register(plan, template, origin, runner)


def _push(plan: Plan, template: Template, origin: Origin, runner: Local) -> Outcome:
    """What the tasks of the stages do after they ran."""
    from luodi.project import workspace

    entries = template.entries[plan.model, plan.challenger]
    with workspace.clone(origin, template.commit, runner) as clone:
        locks.write(clone.lock, locks.merge(locks.read(clone.lock), plan.model, entries))
        clone.dvc("push", *(list(entries)[-2:-1] if plan.kind == "half" else entries))
    return Outcome("pushed", plan.challenger)


def _register(plan: Plan, template: Template, origin: Origin, runner: Local) -> Outcome:
    """What the tasks gate, approve and register do; where nobody is asked, the gate's part is left to register."""
    from luodi.errors import Held
    from luodi.registry import champion, promotion

    entries = template.entries[plan.model, plan.challenger]
    decision, approval = None, AUTO
    if MODELS[plan.model] == "human":
        decision = champion.decide(origin, template.commit, plan.model, entries, runner)
        if decision.verdict in {Verdict.PROMOTE, Verdict.INSUFFICIENT}:
            runner.ask("person", "approves")
            approval = Approval(mode="human", by="Tester", at=datetime(2024, 5, 1, tzinfo=UTC), comment="")
        elif decision.verdict is not Verdict.UNCHANGED:
            return Outcome("refused", decision.verdict)
    try:
        landed = promotion.register(
            origin, template.commit, plan.model, entries, runner, decision=decision, approval=approval
        )
    except Held as error:
        return Outcome("refused", "Held", str(error))
    if landed.version is None:
        return Outcome("refused", landed.decision.verdict)
    return Outcome("landed", landed.version.name)


def _promote(plan: Plan, template: Template, origin: Origin, runner: Local) -> Outcome:
    from luodi.registry import promotion, tags

    known = tags.versions(tags.mirror(origin, runner), plan.model)
    export = tags.export_hash(template.entries[plan.model, plan.challenger], plan.model)
    numbers = [version.number for version in known if version.facts["export"] == export]
    number = numbers[0] if numbers else "v0.0.0"
    moved, _ = promotion.move(origin, plan.model, number, runner, action="promote", reason="because")
    return Outcome("moved", moved.name)


def _rollback(plan: Plan, template: Template, origin: Origin, runner: Local) -> Outcome:
    from luodi.registry import promotion

    moved, _ = promotion.move(origin, plan.model, None, runner, action="rollback", reason="because")
    return Outcome("moved", moved.name)


def _open(plan: Plan, template: Template, origin: Origin, runner: Local) -> Outcome:
    from luodi.registry import tags
    from luodi.scoring import sample
    from luodi.scoring.inference import Classifier

    version = tags.find(Path(origin.git), plan.model)
    with tags.opened(origin, version, runner, "export", "sample", own_cache=True) as clone:
        paths = ModelPaths(clone.root, plan.model)
        sample.check(paths.sample, Classifier.load(paths.export), version.name)
    return Outcome("opened", version.name)


# Actors


class Actor:
    """A process that does one job after the other, stopped before each command until it is let go.

    Attributes:
        at: The command that it stops before, such as ("git", "push"); None if its job has ended.
        outcome: How the job ended; None if it has not.
    """

    def __init__(self, template: Template) -> None:
        self.link, theirs = Pipe()
        self.at: tuple[str, ...] | None = None
        self.outcome: Outcome | None = None
        self.jobs = 0
        self.pid = os.fork()
        if not self.pid:
            _act(template, theirs)
        theirs.close()

    def begin(self, plan: Plan, origin: Origin) -> None:
        self.jobs += 1
        self.outcome = None
        self.link.send((plan, origin))
        self.settle()

    def go(self, lose_answer: bool = False) -> None:
        """Let it run its next command. Call `settle` before anything else."""
        self.link.send(lose_answer)

    def settle(self) -> None:
        """Wait until it stops before a command, or its job ends."""
        assert self.link.poll(PATIENCE), f"an actor hangs after {self.at}"
        said = self.link.recv()
        self.at, self.outcome = (None, said) if isinstance(said, Outcome) else (said, None)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.link.close()


def _act(template: Template, link: Connection) -> None:
    try:
        prctl(DIE_WITH_PARENT, signal.SIGKILL)
        runner = Stepped(link)
        while True:
            plan, origin = link.recv()
            try:
                link.send(do(plan, template, origin, runner))
            except LuodiError as error:
                link.send(Outcome("failed", type(error).__name__, str(error)))
            except BaseException:
                link.send(Outcome("crashed", "", traceback.format_exc()))
    finally:
        os._exit(1)


class Crew:
    """Actors of one template. One that ended its job takes the next, as a worker of Airflow does."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._alive: list[Actor] = []
        self._idle: list[Actor] = []

    def begin(self, plan: Plan, origin: Origin) -> Actor:
        """Let an actor begin a job. Call `release` or `kill` with it."""
        actor = self._idle.pop() if self._idle else self._hire()
        actor.begin(plan, origin)
        return actor

    def do(self, plan: Plan, origin: Origin) -> Outcome:
        """Let an actor do a job to its end."""
        actor = self.begin(plan, origin)
        while actor.at:
            actor.go()
            actor.settle()
        self.release(actor)
        assert actor.outcome
        return actor.outcome

    def release(self, actor: Actor) -> None:
        """Take back an actor whose job has ended."""
        if actor.jobs < JOBS:
            self._idle.append(actor)
        else:
            self.kill(actor)

    def kill(self, actor: Actor) -> None:
        """Kill an actor, and wait for what it leaves running: a push that reached the origin goes on there."""
        actor.kill()
        self._alive.remove(actor)
        alive = {one.pid for one in self._alive}
        while orphans := [child.pid for child in psutil.Process().children() if child.pid not in alive]:
            for pid in orphans:
                os.waitpid(pid, 0)

    def disband(self) -> None:
        for actor in list(self._alive):
            self.kill(actor)
        self._idle.clear()

    def _hire(self) -> Actor:
        self._alive.append(Actor(self._template))
        return self._alive[-1]
