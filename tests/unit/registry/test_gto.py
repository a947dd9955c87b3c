"""GTO and luodi read and write the same tags."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gto.api
import pytest
from gto.exceptions import GTOException
from gto.tag import parse_name
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_tags import FACTS, Repository

from luodi.project.origin import Origin
from luodi.project.workspace import Workspace
from luodi.registry import promotion, tags
from luodi.system.processes import Runner

MODELS = ("reviews", "books")
NUMBERS = ("v0.1.0", "v1.0.0", "v1.10.0", "v2.0.0-rc.1")


def by_gto(path: Path, model: str) -> tuple[list[tuple[Any, ...]], ...]:
    """Number, commit, time, author and message of versions, and place, number, time and author of moves."""
    try:
        known = gto.api.show(str(path), model)
    except GTOException:
        return [], []
    versions = [
        (one["version"], one["commit_hexsha"], one["registrations"][-1]["created_at"], one["author"], one["message"])
        for one in known
        if one["registrations"] and "-" not in one["version"]
    ]
    moves = [
        (
            parse_name(event["ref"]).get("counter", 0),
            put(event) if event["event"] == "assignment" else None,
            event["timestamp"],
            event["author"],
        )
        for event in gto.api.history(str(path), model)
        if event["stage"] == "production" and event["event"] in ("assignment", "unassignment")
    ]
    return sorted(versions), sorted(moves, key=lambda move: move[0])


def put(event: dict[str, str]) -> str:
    """What was put in production: to luodi, a pre-release is no version of its commit."""
    return event["commit"] if "-" in event["version"] else event["version"]


def by_luodi(path: Path, model: str) -> Any:
    """The same."""
    known: list[Any] = tags.versions(path, model)
    versions = [(one.number, one.commit, one.registered, one.author, one.facts.message) for one in known]
    return sorted(versions), [(one.place, one.number, one.at, one.by) for one in tags.moves(path, model)]


def require_the_same(path: Path) -> None:
    for model in MODELS:
        assert by_luodi(path, model) == by_gto(path, model)


STEPS = st.one_of(
    st.tuples(st.just("register"), st.sampled_from(MODELS), st.sampled_from(NUMBERS), st.integers(0, 2)),
    st.tuples(
        st.sampled_from(["assign", "assign", "unassign"]), st.sampled_from(MODELS), st.sampled_from(NUMBERS),
        st.sampled_from(["production", "production", "staging"]),
    ),
    st.tuples(st.sampled_from(["deregister", "deregister simple"]), st.sampled_from(MODELS), st.sampled_from(NUMBERS)),
    st.tuples(st.just("assign commit"), st.sampled_from(MODELS), st.integers(0, 2)),
    st.tuples(st.just("deprecate"), st.sampled_from(MODELS)),
)  # fmt: skip


def take(path: str, step: tuple[Any, ...]) -> None:
    """Let GTO do one thing."""
    what, model, *rest = step
    message = f'{what} of {model}\n\n{{"export": "{rest}"}}'
    more = {"message": message, "author": "Ann", "author_email": "ann@localhost"}
    if what == "register":
        gto.api.register(path, model, f"HEAD~{rest[1]}", version=rest[0], force=True, simple=False, **more)
    elif what == "assign":
        gto.api.assign(path, model, rest[1], version=rest[0], force=True, skip_registration=True, **more)
    elif what == "assign commit":
        gto.api.assign(path, model, "production", ref=f"HEAD~{rest[0]}", force=True, skip_registration=True, **more)
    elif what == "unassign":
        gto.api.unassign(path, model, version=rest[0], stage=rest[1], **more)
    elif what == "deprecate":
        gto.api.deprecate(path, model, **more)
    else:
        gto.api.deregister(path, model, version=rest[0], simple=what.endswith("simple"), **more)


@pytest.mark.slow
@settings(max_examples=12)
@example([("register", "reviews", "v2.0.0-rc.1", 1), ("assign", "reviews", "v2.0.0-rc.1", "production")])
@given(st.lists(STEPS, min_size=4, max_size=10))
def test_luodi_reads_whatever_gto_did(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    repository = Repository(tmp_path_factory.mktemp("gto") / "repository")
    for _ in range(2):
        repository.commit()
    for step in steps:
        try:
            take(str(repository.path), step)
        except GTOException:
            continue  # it makes no sense after those before it
    require_the_same(repository.path)


def written(repository: Any) -> Workspace:
    clone = Workspace(repository.path, Origin("", "main", None, Path()), Runner(print), Path())
    for name, value in (("user.name", "Tester"), ("user.email", "t@localhost")):
        repository.git("config", name, value)
    return clone


def test_gto_reads_what_luodi_wrote(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    clone = written(repository)
    for place, number in enumerate(("v1.0.0", "v1.0.1", "v2.0.0"), start=1):
        commit = repository.commit()
        promotion._annotate(
            clone, f"reviews@{number}", commit, f"reviews {number}: #1 好", FACTS | {"#": "# no comment"}
        )
        promotion._assign(clone, f"reviews@{number}", commit, f"production#{place}", {"action": "land"})
    promotion._assign(
        clone,
        "reviews@v1.0.0",
        repository.git("rev-parse", "reviews@v1.0.0^{}"),
        "production#4",
        {"action": "rollback"},
    )
    require_the_same(repository.path)
    assert tags.find(repository.path, "reviews").number == "v1.0.0"
    assert tags.find(repository.path, "reviews").facts == {"format": 2} | FACTS | {"#": "# no comment"}
    assert tags.next_place(repository.path, "reviews") == 5


def test_a_canary_is_one_to_gto_too(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    clone = written(repository)
    for number in ("v1.0.0", "v1.1.0"):
        promotion._annotate(clone, f"reviews@{number}", repository.commit(), f"reviews {number}", FACTS)
    head = repository.git("rev-parse", "HEAD")
    promotion._assign(clone, "reviews@v1.1.0", head, "canary#1", {"share": 0.1})
    assert stages_by_gto(repository.path) == {"v1.0.0": [], "v1.1.0": ["canary"]}
    assert tags.find(repository.path, "reviews", "canary").share == 0.1
    promotion._assign(clone, "reviews@v1.1.0", head, "canary!#2", {})
    assert stages_by_gto(repository.path) == {"v1.0.0": [], "v1.1.0": []}
    gto.api.assign(str(repository.path), "reviews", "canary", version="v1.0.0", force=True, skip_registration=True)
    assert stages_by_gto(repository.path) == {"v1.0.0": ["canary"], "v1.1.0": []}
    assert tags.find(repository.path, "reviews", "canary").number == "v1.0.0"


def stages_by_gto(path: Path) -> dict[str, list[str]]:
    known = gto.api.show(str(path), "reviews")
    return {one["version"]: [stage["stage"] for stage in one["stages"]] for one in known}


def test_luodi_writes_what_gto_writes(tmp_path: Path) -> None:
    ours, theirs = Repository(tmp_path / "ours"), Repository(tmp_path / "theirs")
    for place in (1, 2):
        title = f"reviews v{place}.0.0 to production"
        promotion._annotate(written(ours), f"reviews@v{place}.0.0", "HEAD", "A title", FACTS)
        promotion._assign(written(ours), f"reviews@v{place}.0.0", "HEAD", f"production#{place}", FACTS)
        written(theirs)
        message = promotion._message("A title", FACTS)
        gto.api.register(str(theirs.path), "reviews", "HEAD", version=f"v{place}.0.0", message=message, simple=True)
        message = promotion._message(title, FACTS)
        version = f"v{place}.0.0"
        gto.api.assign(
            str(theirs.path), "reviews", "production", version=version, message=message, skip_registration=True
        )
        ours.commit(), theirs.commit()

    def tags(repository: Any) -> Any:
        form = "--format=%(refname)%(objecttype)%(type)%(tag)%(taggername)%(taggeremail)%00%(contents)%00"
        return repository.git("for-each-ref", form, "refs/tags")

    assert tags(ours) == tags(theirs)


@pytest.mark.slow
def test_gto_at_the_command_line(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    written(repository)
    gto_ = Path(sys.executable).with_name("gto")
    for line in (
        "register reviews --version v1.0.0",
        "assign reviews --version v1.0.0 --stage production",
        "deprecate reviews v1.0.0 production",
    ):
        subprocess.run([gto_, *line.split()], cwd=repository.path, check=True, capture_output=True)
        require_the_same(repository.path)
    assert [move.number for move in tags.moves(repository.path, "reviews")] == ["v1.0.0", None]


@pytest.mark.slow
@pytest.mark.parametrize("command", [["models"], ["predict", "reviews", "x"], ["rollback", "reviews"]])
def test_luodi_imports_it_nowhere(command: list[str], tmp_path: Path) -> None:
    """It would be a second of every command."""
    Repository(tmp_path / "origin").tag("reviews@v1.0.0")
    (tmp_path / "params.yaml").touch()
    code = f"""
import sys
from luodi.cli import main
sys.argv[1:] = {command!r}
try:
    main()
except SystemExit:
    pass
sys.exit(str(sorted(name for name in sys.modules if name.split(".")[0] in ("gto", "scmrepo", "dulwich", "pygit2"))))
"""
    env = {"LUODI_GIT_URL": str(tmp_path / "origin"), "LUODI_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | env,
    )  # fmt: skip
    assert "reviews" in done.stdout + done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
