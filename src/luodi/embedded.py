"""Everything on one machine in one ignored folder: a git origin, a DVC remote, Airflow on SQLite. For `make run`."""

import base64
import contextlib
import fcntl
import os
import random
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from luodi import card, commits, disk, locks, registry, workspace
from luodi.data import sources
from luodi.errors import (
    DirtyCheckout,
    DiskFull,
    LuodiError,
    NotARepository,
    NoVersion,
    PushRejected,
    SourceMismatch,
    StageFailed,
)
from luodi.files import (
    close,
    in_use,
    private,
    private_folder,
    read_json,
    replacing,
    replacing_folder,
    write_json,
    write_text,
)
from luodi.origin import Origin
from luodi.paths import PARAMS, ModelPaths
from luodi.processes import CommandFailed, Runner, dies_too, end_group
from luodi.registry import Version
from luodi.report.words import part
from luodi.workspace import Workspace

CONFIG = """\
[core]
    analytics = false
    check_update = false
{scm}    remote = luodi
[cache]
    dir = {cache}
['remote "luodi"']
    url = {remote}
"""

CORE = re.compile(r"^[ \t]*\[[ \t]*(['\"]?)core\1[ \t]*\].*$", re.MULTILINE | re.IGNORECASE)

ATTEMPTS = 20  # to move the branch while others do
PAUSE = 0.2  # seconds between them, at most
ARCHIVES = "refs/luodi/archives"  # of the origin: by the id of their tree, the commits of unpacked archives

FACTS = "version.json"  # in a pulled folder: which version it is, and all that its tag says
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
AUTH_MANAGER = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
SETTINGS = """\
# Made once: by these the parts of Airflow know each other. All else is Airflow's default, or set by luodi.
[core]
fernet_key = {}
[api]
secret_key = {}
[api_auth]
jwt_secret = {}
"""
PARTS = (
    ("scheduler", "--skip-serve-logs"),
    ("dag-processor",),
    ("api-server",),
    ("triggerer", "--skip-serve-logs"),
)
LOGS_KEPT = 20
BOT = {"NAME": "luodi", "EMAIL": "luodi@localhost"}


def prepare(root: Path, runner: Runner) -> tuple[Origin, str]:
    """Make the embedded origin, and bring it the data and the commit of the checkout, or of an unpacked archive.

    No branch moves: that is `advance`. Returns the origin and the commit.

    Raises:
        DirtyCheckout: A tracked file has changes that no commit holds.
        SourceMismatch: data/ is not what data.dvc records.
    """
    origin, history = Origin.embedded(root), has_history(root, runner)
    if history:
        _clean_commit(root, runner)  # before anything is made
    private_folder(origin.home)
    if not (origin.home / ".gitignore").exists():  # whether or not the project ignores this folder
        write_text(origin.home / ".gitignore", "*\n")
    if not Path(origin.git).is_dir():
        with replacing_folder(Path(origin.git)) as folder:
            runner.run("git", "init", "--quiet", "--bare", "-b", origin.branch, str(folder), cwd=root)
    # Whoever writes there, under whatever umask. Not by `init --shared`: that would refuse a push that is forced.
    runner.run("git", "config", "core.sharedRepository", "0600", cwd=Path(origin.git))
    registry.set_aside(origin)
    connect(root, origin)
    commit = _bring_commit(root, origin, runner) if history else _commit_archive(root, origin, runner)
    _seed(root, origin, commit, runner)
    return origin, commit


def has_history(root: Path, runner: Runner) -> bool:
    """Whether the checkout is a git repository; an unpacked archive is none.

    Raises:
        NotARepository: It is a part of one: its files would run, committed or not.
    """
    if (root / ".git").exists():
        return True
    try:
        tracked = runner.run("git", "ls-files", "--", ".", cwd=root)
    except CommandFailed:
        return False  # no repository around it
    if tracked:
        raise NotARepository(
            f"{root} is tracked by a git repository above it: expected {PARAMS} at the top of its own repository; "
            "move the project there, or run luodi in a clone of it"
        )
    return False


def advance(origin: Origin, commit: str, runner: Runner) -> str:
    """Move the origin's branch to what a run of `commit` reads, and return that: its files, and what landed.

    Raises:
        PushRejected: The branch was moved by others at each of the attempts, or git holds it locked.
    """
    git = partial(_git, origin, runner)
    branch = f"refs/heads/{origin.branch}"
    for _ in range(ATTEMPTS):
        before = git("for-each-ref", "--format=%(objectname)", branch).strip()
        after = _joined(git, commit, before) if before else commit
        if after == before:
            return after
        try:
            git("update-ref", branch, after, before)  # unless it is another by now
            return after
        except CommandFailed as error:
            refused = error.output.strip()
            time.sleep(random.uniform(0, PAUSE))  # noqa: S311, no secret
    raise PushRejected(f"{origin.git} did not move {origin.branch} in {ATTEMPTS} attempts: run it again ({refused})")


def _joined(git: commits.Git, commit: str, before: str) -> str:
    """Return a commit with the files of `commit`, the entries that landed up to `before`, and both in its history.

    Never by a merge: that would unite what was reverted, amended or left behind with what is there now.
    """
    own, landed = commits.entries(git, commit), commits.entries(git, before)
    if commits.contains(git, before, commit) and commits.same_files(git, before, commit):
        return before
    if commits.contains(git, commit, before) and own | landed == own:
        return commit
    return commits.with_entries(git, commit, own | landed, [before, commit], f"Run {commit[:12]} on what landed")


def connect(root: Path, origin: Origin) -> None:
    """Point DVC in the checkout to the embedded cache and remote, unless it has local settings of its own; tidy it up.

    By relative paths: the checkout may be moved. `dvc get ORIGIN PATH --rev VERSION` and its kin are pointed there too.
    What lies there is for this user alone, whatever umask a `dvc` of the user's own wrote it under.
    """
    close(origin.home)
    local, bare = root / ".dvc" / "config.local", Path(origin.git)
    if _settings(local) in ("", f"[core]\n{_state(root)}\n"):
        scm = "" if (root / ".git").exists() else "    no_scm = true\n"
        home = Path("..") / origin.home.relative_to(root)
        cache, remote = workspace.quoted(home / "cache"), workspace.quoted(home / "remote")
        with private():
            write_text(local, CONFIG.format(scm=scm, cache=cache, remote=remote))
    keep_state(root)
    close(local)  # it may hold the password of a remote
    if bare.is_dir():
        # The remote, as a cache: of that DVC tells whoever reads this repository; of a remote it tells half.
        with private():
            write_text(bare / ".dvc" / "config", f"[cache]\n    dir = {workspace.quoted(Path('..', '..', 'remote'))}\n")
    workspace.sweep_runs(origin.home / "cache")


def keep_state(root: Path) -> None:
    """Let DVC in the checkout keep its state in a folder of its own, unless its settings name one.

    By an absolute path: DVC takes a relative one from wherever it is run. It is mended when the checkout was moved.

    Raises:
        LuodiError: DVC cannot read its settings.
    """
    from dvc.config import Config, ConfigError

    site, local = str(workspace.own_site(root)), root / ".dvc" / "config.local"
    try:
        named = Config(str(local.parent), validate=False)["core"].get("site_cache_dir", "")
    except ConfigError as error:
        raise LuodiError(f"DVC cannot read its settings, {local.parent / 'config'}*: {error}; mend them") from None
    if named == site or (named and not named.endswith(f"/{workspace.SITE}")):
        return
    text = re.sub(r"^[ \t]*site_cache_dir[ \t]*=.*\n?", "", _settings(local), flags=re.MULTILINE)
    if not CORE.search(text):
        text = f"[core]\n{text}"
    with replacing(local) as temporary:
        temporary.write_text(CORE.sub(lambda head: f"{head[0]}\n{_state(root)}", text, count=1), encoding="utf-8")
        temporary.chmod(0o600)  # a remote's password may stand there


def _state(root: Path) -> str:
    return f"    site_cache_dir = {workspace.quoted(root / workspace.SITE)}"


def _settings(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def publish(root: Path, model: str, runner: Runner, *, landing: bool) -> tuple[Origin, str]:
    """Push the model's outputs in the checkout to the DVC remote; return the origin and the commit that made them.

    The embedded origin gets the commit too, and if the model is to land, its branch moves there.

    Raises:
        DirtyCheckout: The commit is not what made the outputs.
        GitError: Your own git origin lacks the commit.
        RemoteError: The DVC remote cannot be used.
    """
    entries = locks.of_model(locks.read(root / "dvc.lock"), model)
    if os.environ.get("LUODI_GIT_URL"):
        origin = Origin.from_environment()
        if not has_history(root, runner):
            raise NotARepository(f"{root} is no git repository: work in a clone of {origin.address} to land there")
        keep_state(root)
        commit = _clean_commit(root, runner)
    else:
        origin, commit = prepare(root, runner)
        commit = advance(origin, commit, runner) if landing else commit
    if entries:
        _require_reproduced(root, sorted(entries), runner)
        # From a clone: the checkout's own DVC remote may be another one.
        cache = root / workspace.dvc(runner, root, "cache", "dir").strip()
        with workspace.clone(origin, commit, runner, cache=cache) as clone:
            locks.write(clone.lock, locks.merge(locks.read(clone.lock), model, entries))
            clone.dvc("push", *sorted(entries))
    return origin, commit


def _require_reproduced(root: Path, stages: list[str], runner: Runner) -> None:
    try:
        workspace.dvc(runner, root, "status", "--quiet", *stages)
    except CommandFailed as error:
        if error.code != 1:  # of `dvc status --quiet`: something changed
            raise
        raise DirtyCheckout("dvc.lock is not of this commit and its data: run `dvc repro` first") from None


def who(root: Path, runner: Runner) -> str:
    """Return name and mail of the person at work in the checkout, as `commits.identity` does."""
    return commits.identity(partial(runner.run, "git", cwd=root), "AUTHOR")


def training(root: Path, model: str) -> dict[str, Any] | None:
    """Return what training in the checkout cost; None if what lies there was not trained there."""
    paths = ModelPaths(root, model)
    entries = locks.of_model(locks.read(root / "dvc.lock"), model)
    if not paths.cost.exists() or f"train@{model}" not in entries:
        return None
    cost: dict[str, Any] = read_json(paths.cost)
    return cost if cost.pop("export") == registry.export_hash(entries, model) else None


def find(origin: Origin, name: str | None, runner: Runner) -> Version | None:
    """Return the version named MODEL@NUMBER; None stays None."""
    if name is None:
        return None
    model, _, number = name.partition("@")
    return registry.find(registry.mirror(origin, runner), model, number)


def environment(root: Path, origin: Origin) -> dict[str, str]:
    """The variables under which Airflow runs the DAGs of `root` against `origin`."""
    variables = {
        "AIRFLOW_HOME": str(origin.home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
        # Of this folder, even if it was copied or moved with the settings that Airflow once wrote into it.
        DATABASE: os.environ.get(DATABASE) or _sqlite(origin.home / "airflow" / "airflow.db"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "luodi.airflow.hostname",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(origin.home / "airflow" / "logs"),
        "AIRFLOW__API__EXPOSE_CONFIG": "False",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        "AIRFLOW__API__ENABLE_SWAGGER_UI": "False",  # a page whose scripts come from another host
        # A machine of two cores that is busy training may answer late.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(root / "src"),
        "LUODI_SINCE": datetime.now(UTC).isoformat(),  # what the schedules asked for before, nobody saw
    }
    identity = {
        f"GIT_{role}_{part}": os.environ.get(f"GIT_{role}_{part}", value)
        for role in ("AUTHOR", "COMMITTER")
        for part, value in BOT.items()
    }
    return origin.environment() | variables | identity


def landed(origin: Origin, commit: str, model: str, runner: Runner) -> Version | None:
    """Return the production version if nothing that could change the model came between its landing and `commit`."""
    mirror = registry.mirror(origin, runner)
    git = partial(workspace.git, origin, runner, mirror)
    try:
        version = registry.find(mirror, model)
        now = locks.of_model(commits.entries(git, commit), model)
        if registry.export_hash(now, model) != version.facts.get("export"):
            return None
    except (NoVersion, CommandFailed, KeyError):
        return None
    # The same model may land again with other entries, of a new evaluation say: no new version, yet a commit.
    again = git("log", "-1", "--format=%H", f"--grep=^Land {model}:", commit).split()
    for landing in (version.commit, *again):
        if commits.same_files(git, landing, commit) and locks.of_model(commits.entries(git, landing), model) == now:
            return version
    return None


@private()
def new_log(origin: Origin, name: str) -> Path:
    """Make the log file of what begins now; keep the last ones, and those in use."""
    log = origin.home / "logs" / f"{name}-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    for old in sorted(log.parent.glob("*.log"), key=os.path.getmtime)[:-LOGS_KEPT]:
        if not in_use(old):
            old.unlink(missing_ok=True)
    return log


@private()
def run_dag(root: Path, origin: Origin, commit: str, model: str, log: Path) -> Mapping[str, Any]:
    """Run `retrain_MODEL` of `commit` on Airflow, its progress on standard output; return the result of register.

    Raises:
        StageFailed: A task failed; the message ends with the last lines of `log`.
        LuodiError: Airflow's database cannot be reached or brought up to date.
    """
    variables = {**os.environ, **environment(root, origin)}
    _migrate(origin, variables, log)
    result = log.with_suffix(".json")
    command = [sys.executable, "-m", "luodi.airflow.once", str(root), model, commit, str(log), str(result)]
    if subprocess.run([*dies_too("KILL"), *command], env=variables, check=False).returncode:
        raise _failed(StageFailed, f"retrain_{model} failed", log)
    outcome: Mapping[str, Any] = read_json(result)
    result.unlink()
    return outcome


def _migrate(origin: Origin, variables: Mapping[str, str], log: Path) -> None:
    """Make Airflow's settings and database, or bring the database up to date; one process at a time."""
    home = origin.home / "airflow"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / "migrating").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (home / "airflow.cfg").exists():
            keys = (base64.urlsafe_b64encode(os.urandom(32)).decode() for _ in range(3))
            write_text(home / "airflow.cfg", SETTINGS.format(*keys))
        if variables[DATABASE] == _sqlite(home / "airflow.db"):
            _migrate_embedded(home / "airflow.db", variables, log)
        else:
            _airflow(["airflow", "db", "migrate"], variables, log)


def _migrate_embedded(database: Path, variables: Mapping[str, str], log: Path) -> None:
    """Make the database under another name first, for it may be killed; do nothing if it is of this Airflow."""
    done, version = database.with_name("migrated"), metadata.version("apache-airflow")
    if not database.exists():
        for left in database.parent.glob(f"{database.name}*"):
            left.unlink()
        new = database.with_suffix(".db.new")
        _airflow(["airflow", "db", "migrate"], {**variables, DATABASE: _sqlite(new)}, log)
        with contextlib.closing(sqlite3.connect(new)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")  # all of it in one file
        new.rename(database)
    elif not done.exists() or done.read_text() != version:
        _airflow(["airflow", "db", "migrate"], variables, log)
    write_text(done, version)


def _airflow(module: Sequence[str], variables: Mapping[str, str], log: Path) -> None:
    """Run a module that works on Airflow's database."""
    with log.open("ab") as file:
        command = [*dies_too("KILL"), sys.executable, "-m", *module]
        if subprocess.run(command, check=False, stdout=file, stderr=file, env=variables).returncode:
            raise _failed(LuodiError, "Airflow's database could not be made or updated", log)


def _sqlite(database: Path) -> str:
    return f"sqlite:///{database}?timeout=60"  # seconds; several processes write


@private()
def stand(root: Path, origin: Origin, port: int) -> None:
    """Run Airflow until it is interrupted, the DAGs' schedules on; print its URL, its login and when models run next.

    Nothing listens but its pages, on this machine: its parts share the folder of the logs, and need no log server.

    Raises:
        LuodiError: The port cannot be used, or a part of Airflow ended by itself.
    """
    _require_free(port)
    url = f"http://localhost:{port}"
    variables = {
        **os.environ,
        **environment(root, origin),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__AUTH_MANAGER": AUTH_MANAGER,
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": "0",  # where none is, none is asked
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": "0",
    }
    log = new_log(origin, "up")
    print(f"starting Airflow (log: {log})", flush=True)
    _migrate(origin, variables, log)
    next_runs = _load_dags(variables, log)
    parts: dict[str, subprocess.Popen[bytes]] = {}
    try:
        _start(parts, variables, log)
        while not (ended := _ended(parts)) and not _answers(f"{url}/api/v2/monitor/health"):
            time.sleep(1)
        if not ended:
            _welcome(url, origin, next_runs)
        _wait(parts, variables, log)
        raise _failed(LuodiError, f"Airflow's {_ended(parts)} ended by itself", log)
    except KeyboardInterrupt:
        print("stopping Airflow", flush=True)
    finally:
        for process in parts.values():
            process.terminate()
        for process in parts.values():
            end_group(process)


def _load_dags(variables: Mapping[str, str], log: Path) -> dict[str, str | None]:
    """End in Airflow's database what was killed, and load the DAGs; return when each runs next."""
    result = log.with_suffix(".json")
    _airflow(["luodi.airflow.local", str(result)], variables, log)
    times: dict[str, str | None] = read_json(result)
    result.unlink()
    return times


def _start(parts: dict[str, "subprocess.Popen[bytes]"], variables: Mapping[str, str], log: Path) -> None:
    with log.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # kept by the parts
        for name, *options in PARTS:
            command = [*dies_too("KILL"), sys.executable, "-m", "airflow", name, *options]
            parts[name] = subprocess.Popen(command, stdout=file, stderr=file, env=variables, start_new_session=True)


def _welcome(url: str, origin: Origin, next_runs: Mapping[str, str | None]) -> None:
    passwords = read_json(origin.home / "airflow" / "simple_auth_manager_passwords.json.generated")
    print(f"Airflow is ready: {url}\nlogin: admin\npassword: {passwords['admin']}")
    for name, at in next_runs.items():
        print(f"{name.removeprefix('retrain_')}: {_when(at)}")
    print("a run at once: `luodi run MODEL`, or Trigger on the DAG's page\nend it with Ctrl-C", flush=True)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise LuodiError(f"port {port} may not be used by you: choose one above 1023 with --port") from None
        except OSError:
            raise LuodiError(f"port {port} is taken: stop what listens there, or choose another with --port") from None


def _ended(parts: Mapping[str, "subprocess.Popen[bytes]"]) -> str:
    return next((name for name, process in parts.items() if process.poll() is not None), "")


def _wait(parts: Mapping[str, "subprocess.Popen[bytes]"], variables: Mapping[str, str], log: Path) -> None:
    """Wait until a part of Airflow ends; each time a `luodi run` beside it is over, see whether it was killed."""
    before: set[Path] = set()
    while not _ended(parts):
        running = {path for path in log.parent.glob("*.log") if in_use(path)}
        if before - running:
            _airflow(["luodi.airflow.local"], variables, log)
        before = running
        time.sleep(1)


def _when(time_of_run: str | None) -> str:
    if time_of_run is None:
        return "paused, or without a schedule"
    at = datetime.fromisoformat(time_of_run)
    return "runs at once" if at <= datetime.now(UTC) else f"next run {at.astimezone():%Y-%m-%d %H:%M %Z}"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310, the URL is our own
            return bool(answer.status == 200)
    except OSError:
        return False


@private()
def cards(origin: Origin, version: Version) -> Path:
    """Write the model card of a version, as a page and as Markdown, and what the gate said; return their folder."""
    folder = origin.home / "cards" / version.name
    with replacing_folder(folder) as temporary:
        _write_cards(temporary, version)
    return folder


def _write_cards(folder: Path, version: Version) -> None:
    facts = version.name, version.registered, version.author, version.facts
    write_text(folder / "card.html", card.html(*facts))
    write_text(folder / "card.md", card.markdown(*facts))
    if decision := part(version.facts, "decision"):
        write_text(folder / "comparison.html", card.comparison(version.model, decision))


def deploy(origin: Origin, version: Version, folder: Path, runner: Runner) -> None:
    """Copy the exported model of a version, its card and its facts into `folder`.

    Raises:
        LuodiError: The folder holds something else than an earlier pull.
        RegistryError: The files are not those that were registered, or this code reads them otherwise.
        RemoteError: The DVC remote cannot be used.
    """
    if folder.exists() and not (folder.is_dir() and (_pulled(folder) or not any(folder.iterdir()))):
        raise LuodiError(f"{folder} holds something else than a pulled model: name a new or an empty folder")
    from luodi import sample
    from luodi.inference import Classifier

    found = registry.fetch(origin, version, runner)
    sample.check(found / "sample.json", Classifier.load(found / "export"), version.name)
    with replacing_folder(folder.resolve()) as temporary:
        for file in (found / "export").iterdir():  # without its rights: what is deployed is for others too
            shutil.copyfile(file, temporary / file.name)
        _write_cards(temporary, version)
        write_json(temporary / FACTS, {"version": version.name, **version.facts})


def _pulled(folder: Path) -> bool:
    """Whether an earlier pull made the folder: it says of what version, and nothing else lies in it."""
    written = {FACTS, "model.onnx", "encoder.json", "card.html", "card.md", "comparison.html"}
    if any(path.name not in written or not path.is_file() for path in folder.iterdir()):
        return False
    try:
        facts = read_json(folder / FACTS)
    except (OSError, ValueError):
        return False
    name = facts.get("version") if isinstance(facts, dict) else None
    model, _, number = str(name).partition("@")
    return bool(model and registry.NUMBER.fullmatch(number))


@private()
def reports(origin: Origin, version: Version, runner: Runner) -> Path:
    """Bring the reports of a version into a folder of its name and return that folder."""
    folder = origin.home / "reports" / version.name
    if not folder.is_dir():
        with workspace.clone(origin, version.commit, runner) as clone, replacing_folder(folder) as temporary:
            _bring_reports(clone, version.model, temporary)
            _write_cards(temporary, version)
    return folder


@private()
def last_reports(origin: Origin, model: str, result: Mapping[str, Any], runner: Runner) -> Path:
    """Bring the reports of a run that landed nothing into a folder of the model's name and return that folder."""
    folder = origin.home / "reports" / model
    with workspace.clone(origin, result["commit"], runner) as clone, replacing_folder(folder) as temporary:
        locks.write(clone.lock, locks.merge(locks.read(clone.lock), model, result["entries"]))
        _bring_reports(clone, model, temporary)
        write_text(temporary / "comparison.html", card.comparison(model, result["decision"]))
    return folder


def _bring_reports(clone: Workspace, model: str, folder: Path) -> None:
    paths = ModelPaths(clone.root, model)
    files = {
        "validation.html": paths.validation_report,
        "preprocess.html": paths.preprocess_report,
        "evaluation.html": paths.evaluation_report,
    }
    clone.pull(*(str(path.relative_to(clone.root)) for path in files.values()))
    for name, path in files.items():
        shutil.copyfile(path, folder / name)


def _bring_commit(root: Path, origin: Origin, runner: Runner) -> str:
    """Bring the checkout's commit into the origin's object store, under no name; return the commit."""
    commit = _clean_commit(root, runner)
    _git(
        origin, runner, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow", str(root), commit
    )
    return commit


def _clean_commit(root: Path, runner: Runner) -> str:
    changed = runner.run("git", "status", "--porcelain", "--", ".", ":!dvc.lock", cwd=root)
    if changed.strip():
        files = ", ".join(line[3:] for line in changed.splitlines()[:5])
        raise DirtyCheckout(
            f"the checkout has changes that no commit holds ({files}): commit or stash them, new files too "
            "(`git stash --include-untracked`), and run it again; what no commit should hold, such as dvc_plots/, goes "
            "into .gitignore"
        )
    return runner.run("git", "rev-parse", "HEAD", cwd=root).strip()


def _commit_archive(root: Path, origin: Origin, runner: Runner) -> str:
    """An unpacked archive has no history: its files become a commit in the origin, once."""
    with tempfile.TemporaryDirectory(prefix="luodi-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index"), "GIT_WORK_TREE": str(root), "GIT_DIR": origin.git}
        runner.run("git", "-c", "core.bare=false", "add", "--all", cwd=root, env=env)
        tree = runner.run("git", "write-tree", cwd=root, env=env).strip()
    git, name = partial(_git, origin, runner), f"{ARCHIVES}/{tree}"
    if not git("for-each-ref", name):
        git("update-ref", name, git("commit-tree", tree, "-m", "Source archive").strip())
    return git("rev-parse", name).strip()


def _git(origin: Origin, runner: Runner, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run git in the embedded origin, as nobody in particular."""
    identity = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in BOT.items()}
    return workspace.git(origin, runner, Path(origin.git), *arguments, env={**identity, **(env or {})})


def _seed(root: Path, origin: Origin, commit: str, runner: Runner) -> None:
    """Put data/ into the DVC remote unless it is there."""
    sources.verify(root / "data", root / "data.dvc")
    checksum = sources.recorded(root / "data.dvc")
    if Path(origin.remote or "", "files", "md5", checksum[:2], checksum[2:]).exists():
        return
    with workspace.clone(origin, commit, runner) as clone:
        shutil.copytree(root / "data", clone.root / "data")
        clone.dvc("add", "data")
        if clone.git("status", "--porcelain").strip():
            raise SourceMismatch(f"{root / 'data'} changed while it was read: run it again")
        clone.dvc("push", "data.dvc")


def _failed(kind: type[LuodiError], what: str, log: Path) -> LuodiError:
    """What ended Airflow, by its log; where that was the disk, which may have cut off the log too, in one line."""
    why = _why(log)
    told = re.findall(r"DiskFull: (.*)", "\n".join(why))
    full = told[-1] if told else disk.full_in("\n".join(why), log.parent) or (None if why else disk.probe(log.parent))
    return DiskFull(f"{what}: {full}") if full else kind(f"{what}; the end of {log}:", *why)


def _why(log: Path) -> list[str]:
    text = log.read_text(encoding="utf-8", errors="replace")
    # An error of ours to its last line, which stands before the next line of the log's own.
    if told := re.findall(r"^error: .*(?:\n(?!\d{4}-\d\d-|Traceback|$).*)*", text, re.MULTILINE):
        return str(told[-1]).splitlines()
    lines = text.splitlines()
    errors = [line for line in lines if "error: " in line or "ERROR" in line]
    said = [line for line in lines if line and not line.startswith((" ", "Traceback"))]
    return (errors or said)[-15:]
