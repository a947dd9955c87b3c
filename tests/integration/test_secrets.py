"""Secrets of 20 kinds, planted where people keep them: real commands leave them nowhere else."""

import base64
import html
import json
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from project import Done, Project
from secret_server import basic, serving

from luodi.errors import DirtyCheckout
from luodi.local import standalone

pytestmark = pytest.mark.slow

USER = "deployer"


def new(kind: str = "") -> str:
    """A value that is in no other file."""
    return f"{kind}{secrets.token_hex(12)}"


def key() -> str:
    lines = "\n".join(base64.b64encode(secrets.token_bytes(48)).decode() for _ in range(4))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----\n"


@dataclass(frozen=True)
class Planted:
    """Secrets by their kind; some are more than one line."""

    values: dict[str, str]

    def __getitem__(self, kind: str) -> str:
        return self.values[kind]

    @property
    def environment(self) -> dict[str, str]:
        """What a shell of a team exports."""
        service = json.dumps({"type": "service_account", "private_key": self["service account"]})
        return {
            "AWS_SECRET_ACCESS_KEY": self["aws in the environment"],
            "AZURE_STORAGE_CONNECTION_STRING": f"AccountName=a;AccountKey={self['account key']};EndpointSuffix=core.x",
            "BLOB": f"https://account.blob.example/c?sv=2024&sig={quote(self['sas'], safe='')}",
            "PRESIGNED": f"https://bucket.example/x?X-Amz-Expires=9&X-Amz-Signature={self['amz signature']}",
            "HEADER": f"Authorization: Bearer {self['bearer']}",
            "GITHUB": self["github"],
            "HOOK": f"https://hooks.slack.com/services/T0AB1CD2E/B0FG3HI4J/{self['slack']}",
            "AIRFLOW_CONN_TEAM": f"postgresql://{USER}:{quote(self['connection'], safe='')}@db.example/team",
            "AIRFLOW__CORE__FERNET_KEY": self["fernet"],
            "DSN": f"host=db.example user={USER} password={self['dsn']}",
            "WHO": self["jwt"],
            "LOGIN": basic(USER, self["basic"]),
            "GOOGLE": service,
            "DEPLOY_KEY": self["private key"],
        }

    def found(self, text: bytes) -> list[str]:
        """The kinds of secret that a text holds, however they are written."""
        return [kind for kind, value in self.values.items() if any(one in text for one in spellings(value))]


def spellings(value: str) -> Iterator[bytes]:
    """A secret, each line of it, as texts, URLs, JSON, HTML and base64 may have it."""
    for line in [value, *(line for line in value.splitlines() if not line.startswith("-"))]:
        for one in {line, quote(line, safe=""), quote_plus(line), json.dumps(line)[1:-1], html.escape(line)}:
            yield one.encode()
        for shift in range(3):  # wherever it stands in what was encoded
            coded = base64.b64encode(bytes(shift) + line.encode())[4 * (shift > 0) : -4]
            yield coded.rstrip(b"=")


@pytest.fixture(scope="module")
def planted() -> Planted:
    names = (
        "git over http", "git over ssh", "dvc over http", "token in a query", "header of git", "netrc",
        "aws in settings", "aws in the environment", "amz signature", "bearer", "slack", "basic", "dsn", "database",
    )  # fmt: skip
    values = {name: new() for name in names}
    return Planted(values | {
        "sas": f"{new()}+/{new()}=", "account key": base64.b64encode(secrets.token_bytes(48)).decode(),
        "github": new("ghp_") + new()[:12], "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "connection": f"p@{new()}/#?", "percent-encoded": f"p@{new()}/:",
        "jwt": f"eyJhbGciOiJIUzI1NiJ9.{new('eyJ')}.{new()}", "private key": key(), "service account": key(),
    })  # fmt: skip


def plant(project: Project, planted: Planted, port: int = 9) -> dict[Path, str]:
    """Put secrets where people keep them; return these files and what they hold."""
    local = project.root / ".dvc" / "config.local"
    kept = {
        project.home / ".netrc": f"machine localhost login {USER} password {planted['netrc']}\n",
        project.home / "gitconfig": (project.home / "gitconfig").read_text()
        + f'[http "http://127.0.0.1:{port}/headed.git"]\n'
        f"extraHeader = Authorization: Bearer {planted['header of git']}\n",
        local: local.read_text()
        + f"['remote \"spare\"']\n    url = s3://bucket/x\n    access_key_id = AKIA{new()[:16].upper()}\n"
        f"    secret_access_key = {planted['aws in settings']}\n"
        f"['remote \"team\"']\n    url = http://127.0.0.1:{port}/store\n    auth = basic\n    user = {USER}\n"
        f"    password = {planted['dvc over http']}\n",
        project.home / "key.pem": planted["private key"],
        project.home / "service.json": json.dumps({"private_key": planted["service account"]}),
    }
    for path, text in kept.items():
        path.write_text(text)
        path.chmod(0o600)
    return kept


def leaks(planted: Planted, folders: Iterable[Path], kept: Iterable[Path], git: Iterable[Path]) -> list[str]:
    """Where a secret lies that should not: in a file below the folders, in a database, or in an object of git."""
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    found = [f"{path}: {kinds}" for path in files if path not in kept and (kinds := planted.found(path.read_bytes()))]
    for repository in git:
        batch = ["git", "cat-file", "--batch-all-objects", "--batch"]
        objects = subprocess.check_output(batch, cwd=repository, stderr=subprocess.DEVNULL)
        found += [f"{repository}: {kind}" for kind in planted.found(objects)]
    return found


def rows(database: Path) -> bytes:
    """All that a database of Airflow holds, what is in its -wal too."""
    with sqlite3.connect(database) as connection:
        return "\n".join(connection.iterdump()).encode()


class User:
    """Somebody at a terminal who has exported it all; what is printed is searched at once."""

    def __init__(self, project: Project, planted: Planted, **more: str) -> None:
        self.project, self.planted = project, planted
        self.temporary = project.home / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.env = {**planted.environment, "TMPDIR": str(self.temporary), **more}

    def __call__(self, *command: str, code: int = 0, said: str = "", **more: str) -> str:
        output = self.project.run(*command, code=code, env={**self.env, **more})
        assert self.planted.found(output.encode()) == [], (command, output)
        assert said in output and "Traceback" not in output, output
        return output


# Port 9 is answered by nobody.
ADDRESSES = {
    "git over http": "http://deployer:{}@127.0.0.1:9/x.git",
    "git over ssh": "ssh://deployer:{}@127.0.0.1:9/x.git",
    "token in a query": "http://127.0.0.1:9/x.git?token={}",
    "sas": "http://127.0.0.1:9/x.git?sv=1&sig={}",
    "amz signature": "http://127.0.0.1:9/x.git?X-Amz-Signature={}",
    "percent-encoded": "http://deployer:{}@127.0.0.1:9/x.git",
}


def unreachable(planted: Planted, kind: str) -> str:
    return ADDRESSES[kind].format(quote(planted[kind], safe=""))


@pytest.fixture
def user(ran: Done, planted: Planted, request: pytest.FixtureRequest) -> User:
    """In a project in which a version has landed."""
    project = ran.project.copy(request.node.name.replace("[", "-").replace(" ", "-").rstrip("]"))
    return User(project, planted)


def test_a_secret_stays_where_it_was_put(user: User, planted: Planted) -> None:
    """A slice of the proofs below."""
    project, kept = user.project, plant(user.project, planted)
    user("luodi", "connect")
    user("luodi", "models", "show", "reviews")
    for kind in ("percent-encoded", "token in a query"):
        user("luodi", "models", code=50, said="cannot be reached", LUODI_GIT_URL=unreachable(planted, kind),
             LUODI_HOME=str(project.home / "luodi"))  # fmt: skip
    assert leaks(planted, [project.root, project.home], kept, [Path(project.origin.git)]) == []


def telling(project: Project) -> None:
    """Let a stage print all that it was given, as one does that fails in an odd way."""
    graph = project.root / "dvc.yaml"
    graph.write_text(graph.read_text().replace("cmd: luodi validate", "cmd: env && luodi validate", 1))
    project.git("commit", "--quiet", "--all", "--message", "Print the environment")


@pytest.mark.proof
def test_what_one_machine_leaves(user: User, planted: Planted, tmp_path: Path) -> None:
    project, kept = user.project, plant(user.project, planted)
    home, origin = project.origin.home, Path(project.origin.git)
    user("luodi", "connect")
    user("dvc", "repro", "--quiet", "evaluate@reviews")
    user("luodi", "gate", "reviews")
    user("luodi", "register", "reviews")
    telling(project)
    user("luodi", "run", "reviews")
    log = max((home / "logs").glob("reviews-*.log"), key=lambda path: path.stat().st_mtime)
    assert "AWS_SECRET_ACCESS_KEY=***" in log.read_text(), "the stage told it"
    user("luodi", "models")
    user("luodi", "models", "show", "reviews")
    user("luodi", "pull", "reviews", str(project.home / "pulled"))
    user("luodi", "predict", "reviews", "好")
    (project.home / "hotels.csv").write_text("text,label\n" + "好,1\n坏,0\n" * 200)
    user("luodi", "add", "hotels", "--modality", "text", "--from", str(project.home / "hotels.csv"))
    user("luodi", "run", "reviews", code=DirtyCheckout.exit_code)
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Add hotels")
    project.set({"validate": {"min_rows": 100_000}})
    user("luodi", "run", "reviews", code=80)
    database = f"postgresql+psycopg2://{USER}:{planted['database']}@127.0.0.1:9/airflow"
    project.set({"validate": {"min_rows": 200_000}})
    user("luodi", "run", "reviews", code=1, said="Airflow's database", AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=database)
    assert planted.found(rows(home / "airflow" / "airflow.db")) == []
    assert leaks(planted, [project.root, project.home], kept, [origin, project.root]) == []


def task(user: User, **more: str) -> None:
    """One task of the DAG, that is to be tried again; Airflow prints all that it logs."""
    project = user.project
    env = standalone.environment(project.root, replace(project.origin, home=project.home / "luodi"))
    command = ("airflow", "tasks", "test", "retrain_reviews", "evaluate", "2026-01-01")
    told = project.run(*command, env={**env, **user.env, **more})
    assert "cannot be" in told and user.planted.found(told.encode()) == [], told


RUN = """
import os, sys
from pathlib import Path
from luodi.local import standalone
from luodi.project.origin import Origin
root, commit = Path.cwd(), sys.argv[1]
origin = Origin.from_environment()
origin.home.mkdir(exist_ok=True)
print(standalone.run_dag(root, origin, lambda: commit, "reviews", standalone.new_log(origin, "reviews"))["verdict"])
"""


@pytest.mark.proof
def test_what_a_team_with_servers_of_its_own_leaves(reproduced: Done, planted: Planted, tmp_path: Path) -> None:
    """The same against a git server and a DVC store that ask for what was planted, then against none."""
    project = reproduced.project.copy("team")
    bare = tmp_path / "served" / "team.git"
    project.git("clone", "--quiet", "--bare", str(project.root), str(bare))
    project.git("-C", str(bare), "config", "http.receivepack", "true")
    for name in ("headed.git", "listed.git"):
        shutil.copytree(bare, bare.with_name(name))
    asked = {
        "team.git": basic(USER, planted["percent-encoded"]), "store": basic(USER, planted["dvc over http"]),
        "headed.git": f"Bearer {planted['header of git']}", "listed.git": basic(USER, planted["netrc"]),
    }  # fmt: skip
    with serving(bare.parent, asked) as port:
        kept = plant(project, planted, port)
        user = User(
            project, planted, LUODI_HOME=str(project.home / "luodi"),
            LUODI_GIT_URL=f"http://{USER}:{quote(planted['percent-encoded'], safe='')}@127.0.0.1:{port}/team.git",
            LUODI_DVC_REMOTE=f"http://{USER}:{planted['dvc over http']}@127.0.0.1:{port}/store",
        )  # fmt: skip
        user("luodi", "gate", "reviews")
        nowhere = unreachable(planted, "percent-encoded").replace("x.git", "store")
        user("luodi", "register", "reviews", code=50, said="DVC remote", LUODI_DVC_REMOTE=nowhere)
        user("luodi", "register", "reviews", said="reviews@v1.0.0 landed")
        user("luodi", "models", said="reviews@v1.0.0")
        user("luodi", "models", "show", "reviews")
        user("luodi", "predict", "reviews", "好", said="label")
        user("luodi", "pull", "reviews", str(project.home / "pulled"))
        user("dvc", "push", "--quiet", "--remote", "team", "data.dvc")
        telling(project)
        project.git("push", "--quiet", str(bare), "HEAD:refs/heads/told")
        user("python", "-c", RUN, project.git("rev-parse", "HEAD"), said="unchanged")
        for url in (f"http://127.0.0.1:{port}/headed.git", f"http://localhost:{port}/listed.git"):
            user("luodi", "models", LUODI_GIT_URL=url)
    # Nobody answers there any more.
    user("luodi", "predict", "reviews", "好", code=50, said="cannot be reached")
    for kind in ADDRESSES:
        user("luodi", "pull", "reviews", str(tmp_path / "x"), code=50, said="cannot be reached",
             LUODI_GIT_URL=unreachable(planted, kind))  # fmt: skip
    for kind in ("percent-encoded", "token in a query", "amz signature"):
        task(user, LUODI_GIT_URL=unreachable(planted, kind))
        task(user, LUODI_GIT_URL=str(bare), LUODI_DVC_REMOTE=unreachable(planted, kind).replace("x.git", "store"))
    assert leaks(planted, [project.root, project.home, bare.parent], kept, [bare, project.root]) == []
    assert planted.found(rows(project.home / "luodi" / "airflow" / "airflow.db")) == []
