"""Tags that nobody should make, and somebody does: each is left out with a word, and hides no other."""

import copy
import hashlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_tags import FACTS, Repository

from luodi.cli import console
from luodi.cli.models import compared
from luodi.errors import GitError, LuodiError, PushRejected
from luodi.local import delivery
from luodi.project import programs, workspace
from luodi.project.origin import Origin
from luodi.registry import promotion, pushing, tags
from luodi.system.processes import CommandFailed, Runner

ODD = "reviews@v1.5.0"
GONE = "2" * 40


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """v1.0.0 and v1.1.0, which is in production and came after it."""
    repository = Repository(tmp_path_factory.mktemp("made") / "repository")
    for place, number in enumerate(("v1.0.0", "v1.1.0"), start=1):
        repository.commit()
        repository.tag(f"reviews@{number}", FACTS | {"export": number})
        message = f"reviews {number} to production"
        repository.git("tag", "--annotate", "--message", message, f"reviews#production#{place}")
    repository.commit()
    origin = repository.path.with_name("origin.git")
    repository.git("clone", "--quiet", "--mirror", ".", str(origin))
    repository.path = origin
    repository.git("remote", "remove", "origin")
    return repository


@pytest.fixture
def there(made: Any, tmp_path: Path) -> Any:
    """The same in a repository of one's own, as the embedded one is."""
    repository = copy.copy(made)
    repository.path = tmp_path / "home" / "origin.git"
    shutil.copytree(made.path, repository.path)
    return repository


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who commits."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "t@localhost")


def raw(repository: Any, name: str, content: bytes) -> None:
    """Write an object of type tag, whatever it holds, and a ref to it."""
    command = ["git", "hash-object", "-t", "tag", "-w", "--stdin", "--literally"]
    oid = subprocess.run(command, cwd=repository.path, input=content, capture_output=True, check=True).stdout
    ref(repository, name, oid.decode().strip())


def ref(repository: Any, name: str, content: str = GONE) -> None:
    (repository.path / "refs" / "tags").mkdir(parents=True, exist_ok=True)
    (repository.path / "refs" / "tags" / name).write_text(f"{content}\n")


def tagged(
    repository: Any, who: str = "A <a@b> 1700000000 +0000", target: str = "main", message: bytes = b"Title\n"
) -> bytes:
    """The content of a tag."""
    oid = target if target == GONE else repository.git("rev-parse", target)
    return f"object {oid}\ntype commit\ntag x\ntagger {who}\n\n".encode() + message


def corrupt(repository: Any, name: str) -> None:
    annotated(repository, name, "main")
    oid = repository.git("rev-parse", name)
    loose = repository.path / "objects" / oid[:2] / oid[2:]
    loose.chmod(0o644)
    loose.write_bytes(b"junk")


def truncated(repository: Any, name: str) -> None:
    """An object of which a power cut left the first half: git learns its size, and dies at its end."""
    noise = "".join(hashlib.sha256(bytes([part])).hexdigest() for part in range(64))
    repository.git("tag", "--annotate", "--message", noise, name, "main")
    oid = repository.git("rev-parse", name)
    loose = repository.path / "objects" / oid[:2] / oid[2:]
    loose.chmod(0o644)
    loose.write_bytes(loose.read_bytes()[:1000])


def annotated(repository: Any, name: str, target: str) -> None:
    repository.git("tag", "--annotate", "--message", "x", name, target)


def blob(repository: Any, name: str) -> None:
    oid = subprocess.check_output(["git", "hash-object", "-w", "--stdin"], cwd=repository.path, input=b"x")
    annotated(repository, name, oid.decode().strip())


BROKEN = {
    "no object": ref,
    "damaged object": corrupt,
    "no tag at all": lambda there, name: raw(there, name, b"object nonsense\nand so on"),
    "empty object": lambda there, name: raw(there, name, b""),
}
"""Git itself cannot read them, and refuses to fetch or to push where they are."""
HALF = {"half an object": truncated}
"""There git ends where it would list the tags, for others too."""
LEFT_OUT = (
    BROKEN
    | HALF
    | {
        "lightweight": lambda there, name: there.git("tag", name),
        "lightweight of a tree": lambda there, name: there.git("tag", name, "main^{tree}"),
        "of a tree": lambda there, name: annotated(there, name, "main^{tree}"),
        "of a blob": blob,
        "of a commit that is gone": lambda there, name: raw(there, name, tagged(there, target=GONE)),
        "by nobody": lambda there, name: raw(there, name, tagged(there).replace(b"tagger", b"author")),
        "at no time": lambda there, name: raw(there, name, tagged(there, "A <a@b> soon +0000")),
        "in another age": lambda there, name: raw(there, name, tagged(there, "A <a@b> 999999999999 +0000")),
        "in another world": lambda there, name: raw(there, name, tagged(there, "A <a@b> 1700000000 +9959")),
    }
)


@pytest.mark.slow
@pytest.mark.parametrize("plant", LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_damaged_tag_is_left_out_and_told_with_what_to_do(
    there: Any, plant: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    plant(there, ODD)
    found = tags.versions(there.path, "reviews")
    assert [(version.number, version.stage) for version in found] == [("v1.1.0", "production"), ("v1.0.0", None)]
    assert tags.models(there.path) == ["reviews"]
    assert [move.number for move in tags.moves(there.path, "reviews")] == ["v1.0.0", "v1.1.0"]
    assert promotion.previous(there.path, "reviews") == "v1.0.0"
    assert tags.numbers(there.path, "reviews")[0] == "v1.5.0", "no version may take its number"
    output, said = capfd.readouterr()
    assert output == ""
    (line,) = said.splitlines()  # once
    assert line.startswith(f"warning: the tag {ODD} is left out: ")
    (remedy,) = re.findall("`(.*)` removes it", line)
    subprocess.run(shlex.split(remedy), check=True)
    assert [version.number for version in tags.versions(there.path, "reviews")] == ["v1.1.0", "v1.0.0"]
    assert tags.numbers(there.path, "reviews")[0] == "v1.1.0"
    assert "warning" not in capfd.readouterr().err


@pytest.mark.parametrize("plant", LEFT_OUT.values(), ids=LEFT_OUT)
@pytest.mark.parametrize("name", ["reviews#production#2", "reviews@v1.1.0"])
def test_a_damaged_tag_of_production_leaves_the_others(
    there: Any, plant: Callable[..., Any], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The move to v1.1.0, or v1.1.0 itself."""
    there.git("tag", "--delete", name)
    plant(there, name)
    stages = {version.number: version.stage for version in tags.versions(there.path, "reviews")}
    expected = {"v1.1.0": None, "v1.0.0": "production"} if "#" in name else {"v1.0.0": None}
    assert stages == expected
    if "@" in name:
        assert promotion.previous(there.path, "reviews") == "v1.0.0", "it can be rolled back"
    assert tags.next_place(there.path, "reviews") == 3
    assert f"warning: the tag {name} is left out" in capfd.readouterr().err


@pytest.mark.parametrize("plant", (BROKEN | HALF).values(), ids=BROKEN | HALF)
def test_what_git_cannot_read_is_set_aside_so_that_others_can_push(
    there: Any, plant: Callable[..., Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    origin = Origin(str(there.path), "main", None, tmp_path / "home")
    plant(there, ODD)
    require_set_aside(there, origin, capfd)


@pytest.mark.parametrize("content", ["", "garbage"])
def test_a_ref_that_a_power_cut_left_empty_is_set_aside(
    there: Any, content: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    origin = Origin(str(there.path), "main", None, tmp_path / "home")
    ref(there, ODD, content)
    assert [version.number for version in tags.versions(there.path, "reviews")] == ["v1.1.0", "v1.0.0"]
    require_set_aside(there, origin, capfd)


def require_set_aside(there: Any, origin: Origin, capfd: pytest.CaptureFixture[str]) -> None:
    before = there.git("rev-parse", "main", "reviews@v1.0.0", "reviews@v1.1.0", "reviews#production#2")
    capfd.readouterr()
    tags.set_aside(origin)
    kept = origin.home / "damaged" / ODD
    assert (
        f"the tag {ODD} is damaged: what is left of it was moved from {there.path} to {kept}" in capfd.readouterr().err
    )
    assert kept.exists()
    tags.set_aside(origin)
    assert capfd.readouterr().err == ""
    assert there.git("rev-parse", "main", "reviews@v1.0.0", "reviews@v1.1.0", "reviews#production#2") == before
    with workspace.clone(origin, "main", Runner(print)) as clone:
        clone.git("push", "--quiet", "origin", "HEAD:refs/heads/other")


@pytest.mark.slow
@pytest.mark.parametrize("plant", BROKEN.values(), ids=BROKEN)
def test_a_tag_that_the_origin_cannot_give_is_left_out(
    there: Any, plant: Callable[..., Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where the origin is not a folder of this host, all tags come together, or none."""
    origin = Origin(f"file://{there.path}", "main", None, tmp_path / "elsewhere")
    for place, name in enumerate([ODD, "reviews#production#3"]):
        plant(there, name)
        for _ in range(2):
            mirror = tags.mirror(origin, Runner(print))
            assert tags.find(mirror, "reviews").number == "v1.1.0"
            assert [version.number for version in tags.versions(mirror, "reviews")] == ["v1.1.0", "v1.0.0"]
        said = capfd.readouterr().err
        assert [line for line in said.splitlines() if name in line], said
        assert len(said.splitlines()) == 1, "told once"
        if place:
            break
    for remedy in (f"git update-ref -d refs/tags/{ODD}", re.findall("`(.*)` there removes it", said)[0]):
        subprocess.run(shlex.split(remedy), cwd=there.path, check=True)
    tags.mirror(origin, Runner(print))
    assert capfd.readouterr().err == ""


def test_an_origin_that_ends_at_a_tag_is_named_with_what_finds_it(there: Any, tmp_path: Path) -> None:
    origin = Origin(f"file://{there.path}", "main", None, tmp_path / "elsewhere")
    truncated(there, ODD)
    told = "git origin .* cannot be read: run `git fsck` there, and mend it"
    for ask in (tags.mirror, programs.head):
        with pytest.raises(GitError, match=told):
            ask(origin, Runner(print))
    with pytest.raises(GitError, match=told), workspace.clone(origin, "main", Runner(print)):
        pass
    said = subprocess.run(["git", "fsck"], cwd=there.path, capture_output=True, text=True, check=False).stderr
    assert "corrupt loose object" in said


@pytest.mark.parametrize("plant", [ref, BROKEN["no tag at all"]], ids=["no object", "no tag at all"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_elsewhere_a_person_is_told_to_remove_it(
    there: Any, plant: Callable[..., Any], scheme: str, tmp_path: Path, somebody: None
) -> None:
    origin = Origin(f"{scheme}{there.path}", "main", None, tmp_path / "elsewhere")
    plant(there, ODD)
    with workspace.clone(origin, "main", Runner(print)) as clone:
        refs = [f"{clone.git('commit-tree', '-m', 'x', 'HEAD^{tree}').strip()}:refs/heads/other"]
        with pytest.raises(PushRejected, match=f"refuses every push, for its tag {ODD} is damaged") as caught:
            pushing.push(clone, refs)
        (remedy,) = re.findall("`(.*)`", str(caught.value))
        subprocess.run(shlex.split(remedy), cwd=there.path, check=True)
        assert pushing.push(clone, refs)


def test_the_reason_that_a_server_gives_is_told_whole(there: Any, tmp_path: Path) -> None:
    origin = Origin(str(there.path), "main", None, tmp_path / "home")
    said = " ! [remote rejected] main -> main (not permitted: update (on refs/heads/main))\nerror: failed to push"
    with workspace.clone(origin, "main", Runner(print)) as clone:
        told = pushing._refusal(clone, ["HEAD:refs/heads/main"], CommandFailed(("git", "push"), 1, said))
        error = CommandFailed(("git", "push"), 128, "fatal: the remote end hung up unexpectedly")
        assert pushing._refusal(clone, ["HEAD:refs/heads/main"], error) is error
    assert "refuses the push of refs/heads/main: not permitted: update (on refs/heads/main): let this user" in str(told)


def test_names_in_no_encoding_keep_no_damaged_tag_from_being_set_aside(
    there: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    there.tag("reviews\udcff@v9.0.0")
    ref(there, ODD)
    require_set_aside(there, Origin(str(there.path), "main", None, tmp_path / "home"), capfd)


def test_packed_tags_are_set_aside_too(there: Any, tmp_path: Path) -> None:
    origin = Origin(str(there.path), "main", None, tmp_path / "home")
    corrupt(there, ODD)
    there.git("pack-refs", "--all")
    assert not (there.path / "refs" / "tags" / ODD).exists()
    tags.set_aside(origin)
    assert ODD not in there.git("for-each-ref")
    assert (tmp_path / "home" / "damaged" / ODD).exists()


@pytest.mark.timeout(60)  # it would go on for ever
def test_a_tag_that_git_cannot_remove_is_told_with_what_tells_why(there: Any, tmp_path: Path) -> None:
    """A git that was killed left its lock."""
    corrupt(there, ODD)
    there.git("pack-refs", "--all")
    there.git("config", "core.packedRefsTimeout", "0")
    (there.path / "packed-refs.lock").touch()
    origin = Origin(str(there.path), "main", None, tmp_path / "home")
    with pytest.raises(
        GitError, match=rf"the tag {ODD} is damaged, and git cannot remove it: see what `.*` says"
    ) as told:
        tags.set_aside(origin)
    (command,) = re.findall("`(.*)`", str(told.value))
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)
    assert "packed-refs.lock" in done.stderr
    (there.path / "packed-refs.lock").unlink()
    tags.set_aside(origin)
    assert ODD not in there.git("for-each-ref")


def test_only_tags_are_set_aside_and_only_in_the_embedded_origin(there: Any, tmp_path: Path) -> None:
    ref(there, ODD)
    tags.set_aside(Origin(str(there.path), "main", None, tmp_path / "elsewhere"))
    assert (there.path / "refs" / "tags" / ODD).exists()
    (there.path / "refs" / "heads").mkdir(exist_ok=True)
    (there.path / "refs" / "heads" / "main").write_text(f"{GONE}\n")
    with pytest.raises(GitError, match=r"no tag is the reason: see `git -C .* fsck`"):
        tags.set_aside(Origin(str(there.path), "main", None, tmp_path / "home"))


@pytest.mark.parametrize(
    "name",
    ["reviews@v01.0.0", "reviews@v2.0", "reviews@v2.0.0-rc.1", "reviews@v2.0.0+x", "reviews@2.0.0", "reviews@v2.0.0!!",
     "reviews@v٢.0.0", "reviews@v2.0.0#x", "reviews#production#", "reviews#production#٣", "reviews#production#-1",
     f"reviews#production#{'9' * 200}", f"reviews@v{'9' * 200}.0.0", "reviews@", "reviews@created",
     "Reviews@v9.0.0", "reviews-@v9.0.0", "x/reviews@v9.0.0", "reviews\udcff@v9.0.0"],
)  # fmt: skip
def test_odd_names_are_of_no_version(there: Any, name: str) -> None:
    there.tag(name)
    assert [version.number for version in tags.versions(there.path, "reviews")] == ["v1.1.0", "v1.0.0"]
    assert tags.find(there.path, "reviews").number == "v1.1.0"
    assert tags.next_place(there.path, "reviews") == 3
    assert tags.numbers(there.path, "reviews") == ["v1.1.0", "v1.0.0"]


MESSAGES = {
    "not JSON": b"T\n\n{",
    "not an object": b"T\n\n[1]",
    "no title": b'\n\n{"export": "x"}',
    "no message": b"",
    "in no encoding": b'T \xff\xfe\n\n{"export": "\xff"}',
    "deep": b"T\n\n" + b"[" * 100_000,
    "deeper than a page": b'T\n\n{"params": ' + b'{"a": ' * 400 + b"1" + b"}" * 401,
    "a number without end": b'T\n\n{"export": ' + b"1" * 5000 + b"}",
    "facts of other types": b'T\n\n{"export": [1], "metrics": "good", "decision": 3, "data": [], "approval": "yes"}',
    "no params": b'T\n\n{"export": "x", "metrics": {"model": null}}',
    "NaN": b'T\n\n{"export": NaN, "latency_ms": Infinity}',
}


@pytest.mark.slow
@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_version_with_odd_facts_is_a_version_that_may_be_refused(
    there: Any, message: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw(there, ODD, tagged(there, message=message))
    odd, production, _ = tags.versions(there.path, "reviews")
    assert (odd.number, production.stage) == ("v1.5.0", "production")
    origin = Origin(str(there.path), "main", None, tmp_path / "home")
    console.show_versions(compared([odd, production]))
    console.show_version(odd, tags.moves(there.path, "reviews"), delivery.cards(origin, odd))
    assert promotion.previous(there.path, "reviews") == "v1.0.0"
    assert tags.same([odd, production], "v1.1.0") is production
    with pytest.raises(LuodiError):
        tags.fetch(origin, odd, Runner(print))


@pytest.mark.parametrize(("levels", "read"), [(50, True), (51, False)])
def test_facts_within_facts_are_read_to_the_fiftieth(levels: int, read: bool) -> None:
    """The rest would be too deep for what shows them."""
    assert bool(tags.Facts("T\n\n" + '{"a": ' * levels + "1" + "}" * levels)) is read


@pytest.mark.parametrize("zone", ["+0000", "+0530", "-0330", "-0030", "+1400"])
def test_who_made_a_tag_may_be_anywhere(there: Any, zone: str) -> None:
    raw(there, ODD, tagged(there, f"A <a@b> 1700000000 {zone}"))
    made = tags.find(there.path, "reviews", "v1.5.0").registered
    assert (made.timestamp(), made.strftime("%z")) == (1700000000, zone)


def second(there: Any, number: str = "v1.5.0", of: str = "v1.1.0", facts: Any = None) -> None:
    """A second version on the commit of another, by hand."""
    later = {"GIT_COMMITTER_DATE": "2036-01-01T00:00:00Z"}
    message = f"x\n\n{facts or '{}'}"
    there.git("tag", "--annotate", "--message", message, f"reviews@{number}", f"reviews@{of}^{{commit}}", **later)


@pytest.mark.slow
@pytest.mark.parametrize("of", ["v1.0.0", "v1.1.0"])
@pytest.mark.parametrize("number", ["v0.9.0", "v1.0.5", "v1.5.0"])
def test_a_second_version_on_a_commit_changes_nothing_that_was_moved(there: Any, number: str, of: str) -> None:
    before = tags.moves(there.path, "reviews")
    second(there, number, of)
    assert tags.moves(there.path, "reviews") == before
    assert tags.find(there.path, "reviews").number == "v1.1.0"
    assert {version.number for version in tags.versions(there.path, "reviews")} == {"v1.0.0", "v1.1.0", number}
    assert promotion.previous(there.path, "reviews") == "v1.0.0"


@pytest.mark.parametrize(
    "title", ["reviews {} to production", "Assigning stage production to artifact reviews version {}"]
)
def test_of_two_versions_on_a_commit_that_is_in_production_which_the_move_names(there: Any, title: str) -> None:
    second(there)
    for place, number in enumerate(("v1.5.0", "v1.1.0", "v1.5.0"), start=3):
        there.git(
            "tag", "--annotate", "--message", title.format(number), f"reviews#production#{place}", "reviews@v1.1.0^{}"
        )
        assert tags.find(there.path, "reviews").number == number
        (current,) = [version for version in tags.versions(there.path, "reviews") if version.stage]
        assert current.number == number
        assert tags.moves(there.path, "reviews")[-1].number == number


def test_of_two_versions_on_a_commit_a_move_is_to_that_of_its_title_not_to_the_one_it_came_from(there: Any) -> None:
    second(there)
    message = 'reviews v1.5.0 to production\n\n{"from": "reviews@v1.1.0"}'
    there.git("tag", "--annotate", "--message", message, "reviews#production#3", "reviews@v1.1.0^{}")
    assert tags.find(there.path, "reviews").number == "v1.5.0"
    assert [move.number for move in tags.moves(there.path, "reviews")] == ["v1.0.0", "v1.1.0", "v1.5.0"]


def test_of_two_versions_that_are_one_model_the_one_in_production_is_it(there: Any) -> None:
    second(there, facts='{"export": "v1.1.0"}')
    known = tags.versions(there.path, "reviews")
    for number in ("v1.1.0", "v1.0.0"):
        found = tags.same(known, number)
        assert found is not None and found.number == number
    assert tags.same(known, "x") is None


def test_a_deprecated_model_has_no_version_until_there_is_a_new_one(there: Any) -> None:
    later = {"GIT_COMMITTER_DATE": "2036-01-01T00:00:00Z"}
    there.git("tag", "books@deprecated")
    assert tags.versions(there.path, "books") == []
    there.git("tag", "--annotate", "--message", "x", "reviews@deprecated", "main", **later)
    assert tags.versions(there.path, "reviews") == []
    there.git(
        "tag", "--annotate", "--message", "x", "reviews@v1.2.0", "main", GIT_COMMITTER_DATE="2037-01-01T00:00:00Z"
    )
    assert [version.number for version in tags.versions(there.path, "reviews")] == ["v1.2.0", "v1.1.0", "v1.0.0"]


def test_a_model_without_any_version_left_is_no_reason_not_to_list_the_others(
    there: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    there.git("tag", "books@v1.0.0")
    there.git("tag", "--annotate", "--message", "x", "films@v1.0.0", "main")
    there.git("tag", "--annotate", "--message", "x", "films@deprecated", "main", GIT_COMMITTER_DATE="2037-01-01T00:00Z")
    listed = {model: tags.versions(there.path, model) for model in tags.models(there.path)}
    assert [(model, len(versions)) for model, versions in listed.items()] == [
        ("books", 0),
        ("films", 0),
        ("reviews", 2),
    ]
    console.show_versions([pair for versions in listed.values() for pair in compared(versions, 20)])
    assert capsys.readouterr().out.count("reviews@v1.") == 2


def test_two_models_on_one_commit(there: Any) -> None:
    there.git("tag", "--annotate", "--message", "x", "books@v3.0.0", "reviews@v1.1.0^{}")
    there.git("tag", "--annotate", "--message", "x", "books#production#1", "reviews@v1.1.0^{}")
    assert tags.find(there.path, "books").number == "v3.0.0"
    assert tags.find(there.path, "reviews").number == "v1.1.0"


def test_a_colon_in_a_name_is_an_equals_sign_in_its_tags(there: Any) -> None:
    """GTO writes them so: git lets no tag have a colon."""
    there.git("tag", "--annotate", "--message", "x", "shop=reviews@v4.0.0", "main")
    assert tags.models(there.path) == ["reviews", "shop:reviews"]
    assert [version.name for version in tags.versions(there.path, "shop:reviews")] == ["shop:reviews@v4.0.0"]


def test_a_tag_of_a_tag_is_of_its_commit(there: Any) -> None:
    """What `git tag reviews#production#3 reviews@v1.0.0` makes, where a commit is meant."""
    there.git("tag", "--annotate", "--message", "x", "reviews#production#3", "reviews@v1.0.0")
    assert tags.find(there.path, "reviews").number == "v1.0.0"


def test_what_cannot_be_served_is_not_gone_back_to(there: Any) -> None:
    """v1.2.0 was tagged by hand, and was in production between those that landed."""
    there.git("tag", "--annotate", "--message", "by hand", "reviews@v1.2.0", "main")
    there.git("tag", "--annotate", "--message", "by hand", "reviews#production#3", "main")
    there.git("tag", "--annotate", "--message", "back", "reviews#production#4", "reviews@v1.1.0^{}")
    assert promotion.previous(there.path, "reviews") == "v1.0.0"


def test_nothing_is_read_that_is_not_needed(there: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Old versions are not looked at to list new ones, nor any other to serve the one in production."""
    for number in range(5):
        ref(there, f"reviews@v0.{number}.0")
    assert [version.number for version in tags.versions(there.path, "reviews", 2)] == ["v1.1.0", "v1.0.0"]
    assert tags.find(there.path, "reviews").number == "v1.1.0"
    assert tags.find(there.path, "reviews", "v1.0.0").number == "v1.0.0"
    assert capfd.readouterr().err == ""
