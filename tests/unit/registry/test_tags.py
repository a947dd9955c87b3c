"""Versions are counted by what changed, and read from the tags of a real git repository."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi.errors import GitError, NoVersion, RegistryError
from luodi.project import locks
from luodi.project.origin import Origin
from luodi.registry import promotion, tags
from luodi.system.processes import Runner

FACTS = {"export": "abc.dir", "metrics": {"rows": 1}}


@pytest.mark.parametrize(
    ("previous", "change", "expected"),
    [
        (None, "major", "v1.0.0"),
        (None, "patch", "v1.0.0"),
        ("v1.0.0", "patch", "v1.0.1"),
        ("v1.9.9", "patch", "v1.9.10"),
        ("v1.2.3", "minor", "v1.3.0"),
        ("v1.2.3", "major", "v2.0.0"),
        ("v9.99.999", "major", "v10.0.0"),
    ],
)
def test_next_number(previous: str | None, change: str, expected: str) -> None:
    assert tags.next_number(previous, change) == expected


@given(st.lists(st.sampled_from(["major", "minor", "patch"]), min_size=1, max_size=20))
def test_numbers_only_rise(changes: list[str]) -> None:
    number, seen = None, []
    for change in changes:
        number = tags.next_number(number, change)
        seen.append(tuple(map(int, number[1:].split("."))))
    assert seen == sorted(set(seen))


def entries(
    labels: tuple[str, ...] = ("a", "b"), epochs: int = 3, code: str = "1", data: str = "1", model: str = "reviews"
) -> dict[str, dict[str, Any]]:
    """The lock entries of a run."""
    params = {f"models.{model}.labels": list(labels), f"models.{model}.train.epochs": epochs}
    fingerprint = {"stages.text.train": {"code": code, "keras": "3.15.1"}}
    return {
        f"validate@{model}": {"cmd": "x", "deps": [{"path": f"data/{model}", "md5": data}]},
        f"train@{model}": {
            "cmd": "y",
            "deps": [{"path": f"artifacts/{model}/x", "md5": data}],
            "params": {"params.lock": params, "luodi.lock": fingerprint},
            "outs": [{"path": f"artifacts/{model}/train/export", "md5": f"{data}{code}.dir"}],
        },
    }


def older(
    labels: tuple[str, ...] = ("a", "b"), epochs: int = 3, code: str = "1", data: str = "1", model: str = "reviews"
) -> dict[str, dict[str, Any]]:
    """The lock entries of a run before there were lock files of settings and code."""
    params = {f"models.{model}.labels": list(labels), f"models.{model}.train.epochs": epochs}
    return {
        f"validate@{model}": {"cmd": "x", "deps": [{"path": f"data/{model}", "md5": data}]},
        f"train@{model}": {
            "cmd": "y",
            "deps": [{"path": "src/luodi/nets", "md5": code}, {"path": f"artifacts/{model}/x", "md5": data}],
            "params": {"params.yaml": params},
            "outs": [{"path": f"artifacts/{model}/train/export", "md5": f"{data}{code}.dir"}],
        },
    }


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (entries(), "patch"),
        (entries(data="2"), "patch"),
        (entries(epochs=4), "minor"),
        (entries(code="2"), "minor"),
        (entries(code="2", data="2"), "minor"),
        (entries(labels=("a", "b", "c")), "major"),
        (entries(labels=("b", "a")), "major"),  # the columns of its probabilities change places
        (entries(labels=("a", "c"), epochs=4, code="2", data="2"), "major"),
        (entries() | {"tune@reviews": {"cmd": "z", "params": {"params.lock": {"x": 1}}}}, "minor"),
        (entries() | entries(model="other", labels=("x", "y"), code="7"), "patch"),
    ],
)
def test_change(after: dict[str, dict[str, Any]], expected: str) -> None:
    assert tags.change(entries(), after, "reviews") == expected


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (older(), "patch"),
        (older(data="2"), "patch"),
        (older(epochs=4), "minor"),
        (older(code="2"), "minor"),
        (older(labels=("b", "a")), "major"),
        (entries(), "minor"),  # other code, as far as can be told
        (entries(labels=("b", "a")), "major"),
    ],
)
def test_change_since_a_version_of_an_older_luodi(after: dict[str, dict[str, Any]], expected: str) -> None:
    assert tags.change(older(), after, "reviews") == expected


def test_export_hash() -> None:
    assert tags.export_hash(entries(), "reviews") == "11.dir"
    with pytest.raises(KeyError):
        tags.export_hash({}, "reviews")


def test_an_export_is_what_evaluate_judged() -> None:
    """Of a stage that is off by now dvc.lock keeps an entry."""
    folder = "artifacts/reviews/compress/export"
    found = entries() | {"compress@reviews": {"outs": [{"path": folder, "md5": "22.dir"}]}}
    assert tags.export_hash(found, "reviews") == "11.dir"
    found["evaluate@reviews"] = {"deps": [{"path": folder, "md5": "22.dir"}]}
    assert tags.export_hash(found, "reviews") == "22.dir"


def test_entries_of_a_checkout_are_those_of_the_model(tmp_path: Path) -> None:
    """And of stages that are there."""
    (tmp_path / "dvc.yaml").write_text("stages: {validate: {}, train: {}}")
    old = {"compress@reviews": entries()["train@reviews"]}
    locks.write(tmp_path / "dvc.lock", entries() | old | entries(model="other"))
    assert promotion.checkout_entries(tmp_path, "reviews") == entries()


class Repository:
    """A real git repository to tag."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "-b", "main")
        self.commit()

    def git(self, *arguments: str, **more: str) -> str:
        who = {"GIT_AUTHOR_NAME": "Tester", "GIT_AUTHOR_EMAIL": "t@localhost"}
        who |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in who.items()}
        env = os.environ | who | more
        return subprocess.check_output(["git", *arguments], cwd=self.path, text=True, env=env).strip()

    def commit(self) -> str:
        self.git("commit", "--quiet", "--allow-empty", "--message", "x")
        return self.git("rev-parse", "HEAD")

    def tag(self, name: str, facts: object = FACTS) -> None:
        self.git("tag", "--annotate", name, "--message", f"{name}\n\n{json.dumps(facts)}")


@pytest.fixture
def repository(tmp_path: Path) -> Any:
    return Repository(tmp_path / "repository")


def elsewhere(repository: Any, tmp_path: Path) -> Origin:
    """The repository as one that is reached by a URL."""
    return Origin(f"file://{repository.path}", "main", None, tmp_path / "home")


def test_no_tags_no_versions(repository: Any) -> None:
    assert tags.versions(repository.path, "reviews") == []
    assert tags.versions(repository.path, "") == []
    assert tags.models(repository.path) == []
    with pytest.raises(NoVersion, match=r"no reviews@production .* no version of reviews at all"):
        tags.find(repository.path, "reviews")
    with pytest.raises(NoVersion) as caught:
        tags.find(repository.path, "x" * 5000)
    assert len(str(caught.value)) < 700


def test_tags_that_cannot_be_listed(tmp_path: Path) -> None:
    with pytest.raises(GitError, match=r"the tags in .* cannot be read: see `git -C .* fsck` \(fatal: not a git rep"):
        tags.versions(tmp_path, "reviews")


def test_versions_of_two_models(repository: Any) -> None:
    commits = []
    for number in ("v1.0.0", "v1.0.2", "v1.0.10", "v2.0.0"):
        repository.tag(f"reviews@{number}", FACTS | {"number": number})
        commits.append(repository.commit())
    repository.tag("hotel-reviews@v1.0.0")
    repository.tag("reviews#production#1")
    repository.git("tag", "--annotate", "--message", "back", "reviews#production#2", "reviews@v1.0.10^{commit}")
    found = tags.versions(repository.path, "reviews")
    assert [version.number for version in found] == ["v2.0.0", "v1.0.10", "v1.0.2", "v1.0.0"]
    assert [version.stage for version in found] == [None, "production", None, None]
    assert {version.author for version in found} == {"Tester"}
    assert found[1].facts == FACTS | {"number": "v1.0.10"}
    assert found[1].commit == commits[1]
    assert found[1].name == "reviews@v1.0.10"
    assert tags.models(repository.path) == ["hotel-reviews", "reviews"]
    (other,) = tags.versions(repository.path, "hotel-reviews")
    assert (other.number, other.stage) == ("v1.0.0", None)


@pytest.mark.parametrize("number", ["v1.0.0", "v1.1.0", "production"])
def test_find(repository: Any, number: str) -> None:
    repository.tag("reviews@v1.0.0")
    repository.tag("reviews#production#1")
    repository.commit()
    repository.tag("reviews@v1.1.0")
    assert tags.find(repository.path, "reviews", number).number == {"production": "v1.0.0"}.get(number, number)


@pytest.mark.parametrize(("model", "number"), [("reviews", "v9.0.0"), ("reviews", "staging"), ("reviews", "1.0.0")])
def test_what_is_not_there_is_named_with_what_is(repository: Any, model: str, number: str) -> None:
    repository.tag("reviews@v1.0.0")
    with pytest.raises(NoVersion, match=rf"no {model}@{number} in the registry; there is: reviews@v1\.0\.0$"):
        tags.find(repository.path, model, number)


def test_an_unassigned_version_is_not_in_production(repository: Any) -> None:
    repository.tag("reviews@v1.0.0")
    repository.tag("reviews#production#1")
    repository.tag("reviews#production!#2")
    with pytest.raises(NoVersion, match=r"no version of reviews is in production: `luodi promote reviews@v1\.0\.0`"):
        tags.find(repository.path, "reviews")


def test_of_many_versions_the_newest_five_are_named(repository: Any) -> None:
    for minor in range(7):
        repository.tag(f"reviews@v1.{minor}.0")
        repository.commit()
    newest = ", ".join(f"reviews@v1.{minor}.0" for minor in (6, 5, 4, 3, 2))
    with pytest.raises(NoVersion, match=rf"`luodi promote reviews@v1\.6\.0` puts the newest there; .*: {newest}$"):
        tags.find(repository.path, "reviews")
    repository.git("tag", "--annotate", "--message", "x", "reviews#production#1", "reviews@v1.0.0^{commit}")
    with pytest.raises(NoVersion, match=f"there is: {newest}$"):
        tags.find(repository.path, "reviews", "v9.0.0")


@pytest.mark.parametrize(
    "name", ["v9.9.9", "release", "reviews@v1", "reviews@v3.0.0-rc.1", "reviews@v3.0.0+x", "x@y@v1.0.0"]
)
@pytest.mark.parametrize("annotated", [True, False])
def test_foreign_tags_are_ignored(repository: Any, name: str, annotated: bool) -> None:
    repository.tag("reviews@v1.0.0")
    repository.tag("reviews#production#1")
    repository.commit()
    if annotated:
        repository.tag(name)
    else:
        repository.git("tag", name)
    assert [version.name for version in tags.versions(repository.path, "reviews")] == ["reviews@v1.0.0"]
    assert tags.find(repository.path, "reviews").number == "v1.0.0"


@pytest.mark.parametrize("message", ["by hand", "by hand\n\nnot JSON", "by hand\n\n[1]", "by hand\n\n3"])
def test_a_version_tagged_by_hand_has_no_facts_and_cannot_be_served(
    repository: Any, message: str, tmp_path: Path
) -> None:
    repository.git("tag", "--annotate", "reviews@v1.0.0", "--message", message)
    (version,) = tags.versions(repository.path, "reviews")
    assert version.facts == {}
    origin = Origin(str(repository.path), "main", None, tmp_path / "home")
    with pytest.raises(RegistryError, match=r"reviews@v1\.0\.0 was tagged by hand"):
        tags.fetch(origin, version, Runner(print))


def test_what_lies_on_this_host_is_not_mirrored(repository: Any, tmp_path: Path) -> None:
    origin = Origin(str(repository.path), "main", None, tmp_path / "home")
    assert tags.mirror(origin, Runner(print)) == repository.path


def test_an_origin_that_git_cannot_read_is_named(repository: Any, tmp_path: Path) -> None:
    (repository.path / ".git" / "refs" / "heads" / "main").write_text("2" * 40)
    with pytest.raises(
        GitError, match=r"git origin file://.* cannot be read: run `git fsck` there, and mend it \(fatal"
    ):
        tags.mirror(elsewhere(repository, tmp_path), Runner(print))


def test_a_mirror_gets_over_a_git_that_was_killed_in_it(repository: Any, tmp_path: Path) -> None:
    origin = elsewhere(repository, tmp_path)
    mirror = tags.mirror(origin, Runner(print))
    repository.commit()
    for left in ("packed-refs.lock", "refs/heads/main.lock"):
        (mirror / left).parent.mkdir(parents=True, exist_ok=True)
        (mirror / left).touch()
    tags.mirror(origin, Runner(print))
    here = (mirror / "refs" / "heads" / "main", mirror / "packed-refs")
    assert any(repository.git("rev-parse", "main").strip() in path.read_text() for path in here if path.exists())


def test_a_mirror_follows_the_address_of_today(repository: Any, tmp_path: Path) -> None:
    """The project moved to another server; what the mirror was cloned from is there still."""
    repository.tag("reviews@v1.0.0")
    old = Origin(f"file://{repository.path}", "main", None, tmp_path / "home")
    tags.mirror(old, Runner(print))
    repository.git("clone", "--quiet", "--bare", str(repository.path), str(tmp_path / "moved.git"))
    repository.git("--git-dir", str(tmp_path / "moved.git"), "tag", "--annotate", "-m", "x", "reviews@v2.0.0", "main")
    moved = Origin(f"file://{tmp_path / 'moved.git'}", "main", None, tmp_path / "home")
    found = tags.versions(tags.mirror(moved, Runner(print)), "reviews")
    assert [version.number for version in found] == ["v2.0.0", "v1.0.0"]


def test_a_mirror_follows_its_origin(repository: Any, tmp_path: Path) -> None:
    origin = elsewhere(repository, tmp_path)
    repository.tag("reviews@v1.0.0")
    mirror = tags.mirror(origin, Runner(print))
    assert [version.number for version in tags.versions(mirror, "reviews")] == ["v1.0.0"]
    repository.commit()
    repository.tag("reviews@v1.1.0")
    repository.git("tag", "--delete", "reviews@v1.0.0")
    assert tags.mirror(origin, Runner(print)) == mirror
    assert [version.number for version in tags.versions(mirror, "reviews")] == ["v1.1.0"]


def test_production_is_what_the_highest_counter_says_whatever_the_clocks_said(repository: Any) -> None:
    repository.tag("reviews@v1.0.0")
    repository.commit()
    repository.tag("reviews@v1.1.0")
    repository.git("tag", "--annotate", "--message", "ahead", "reviews#production#1", "reviews@v1.1.0^{commit}")
    slow = {"GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z"}
    moved = 'back\n\n{"action": "rollback", "from": "reviews@v1.1.0", "reason": "complaints"}'
    repository.git("tag", "--annotate", "--message", moved, "reviews#production#2", "reviews@v1.0.0^{commit}", **slow)
    assert tags.find(repository.path, "reviews").number == "v1.0.0"
    first, second = tags.moves(repository.path, "reviews")
    assert [(move.place, move.number) for move in (first, second)] == [(1, "v1.1.0"), (2, "v1.0.0")]
    assert (second.by, second.at.year, second.facts["reason"]) == ("Tester", 2001, "complaints")
    assert first.facts == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        ([1, 2], 1),
        ([1, 2, 3], 2),
        ([1, 2, 3, -2], 1),  # a rollback; each goes one step further back, not to and fro
        ([1, 2, 3, -2, 4], 2),
        ([1, 2, 3, -1, 3], 1),
        ([1, 2, 1, 3, -1], 2),  # to the place where it was last, not first
        ([1, 2, 1, 3, -1, -2], 1),
        ([2, 1, 2], 1),
        ([2, 1, -2], None),
        ([1], None),
    ],
)
def test_what_a_rollback_goes_back_to(repository: Any, moves: list[int], expected: int | None) -> None:
    for number in (1, 2, 3, 4):
        repository.tag(f"reviews@v{number}.0.0")
        repository.commit()
    for place, number in enumerate(moves, start=1):
        message = 'x\n\n{"action": "rollback"}' if number < 0 else "x"
        target = f"reviews@v{abs(number)}.0.0^{{commit}}"
        repository.git("tag", "--annotate", "--message", message, f"reviews#production#{place}", target)
    if expected is None:
        with pytest.raises(NoVersion, match="there is no earlier version of reviews to go back to"):
            promotion.previous(repository.path, "reviews")
    else:
        assert promotion.previous(repository.path, "reviews") == f"v{expected}.0.0"


def test_params_that_differ() -> None:
    before = {"train": {"epochs": 3, "units": 8}, "labels": ["a"], "gone": 1}
    after = {"train": {"epochs": 4, "units": 8}, "labels": ["a", "b"], "new": {"x": None, "y": 2}}
    assert tags.differences(before, after) == [
        "gone 1 -> none",
        "labels ['a'] -> ['a', 'b']",
        "new.y none -> 2",
        "train.epochs 3 -> 4",
    ]
    assert tags.differences(after, after) == []
