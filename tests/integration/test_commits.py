"""A run is what was committed: whatever people do to their history, and whatever lands meanwhile.

Random histories of a checkout (commits, reverts, amends, resets, rebases, branches, merges) and of the origin (others
push files, others land). After each run:

1. What a run reads, and what its version's tag holds, are the files of the checkout's commit, byte for byte.
2. The lock entries that landed are in what it reads.
3. No commit or ref of the checkout has changed, and the origin's branch lost none of its commits.
4. `gate` moves no branch of the origin.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from actors import GITCONFIG, QUALITY, Local, Plan, Template, do, forked, git, make, preload, spare_time, stored
from project import FOREIGN, Done, Project

from luodi.errors import DirtyCheckout, GitError, NotARepository, PushRejected, SourceMismatch
from luodi.files import folder_checksum
from luodi.local import checkout, embedded
from luodi.project import locks, programs, workspace
from luodi.project.commits import LOCK
from luodi.project.origin import Origin
from luodi.registry import promotion, tags
from luodi.system.processes import Runner

STEPS = 14
MEANT = ("landed", "beside main", "kept", "joined", "forward", "reverted", "rebased", "amended", "merged")
"""What must happen in the examples, else they prove little."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")]


@pytest.mark.parametrize("examples", [3, pytest.param(150, marks=pytest.mark.proof)])
def test_a_run_is_what_was_committed(examples: int, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path) as folder:
        (Path(folder) / "gitconfig").write_text(GITCONFIG)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        environment = inherited | {
            "HOME": folder, "GIT_CONFIG_GLOBAL": f"{folder}/gitconfig", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, __file__, folder, str(examples)], env=environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout
    tally = json.loads(done.stdout.splitlines()[-1])
    assert all(tally.get(name) for name in MEANT), tally


@pytest.mark.usefixtures("in_process")
def test_what_was_reverted_after_a_gate_is_not_what_runs(reproduced: Done) -> None:
    project = reproduced.project.copy("reverted")
    kept = project.git("rev-parse", "HEAD^{tree}")
    project.set({"evaluate": {"mistakes": 12}})
    project.run("dvc", "repro", "evaluate@reviews")
    project.git("add", "dvc.lock")
    project.git("commit", "--quiet", "--amend", "--no-edit")
    project.run("luodi", "gate", "reviews")
    assert project.bare("for-each-ref") == ""
    project.git("revert", "--no-edit", "HEAD")
    project.run("dvc", "repro")
    project.run("luodi", "register", "reviews")
    trees = {project.bare("rev-parse", f"{ref}^{{tree}}") for ref in ("main", "reviews@v1.0.0")}
    (tree,) = trees
    assert project.bare("diff-tree", "-r", "--name-only", kept, tree) == LOCK
    assert "mistakes: 20" in project.bare("show", "main:params.yaml")


def test_a_run_that_a_git_hook_starts_leaves_the_repository_alone(
    make_project: Callable[[str], Project], monkeypatch: pytest.MonkeyPatch, quiet: Runner
) -> None:
    """git tells its hooks where it is at work: a clone of ours is elsewhere."""
    project = make_project("hooked")
    before = project.git("for-each-ref"), project.git("status", "--porcelain")
    for name, path in {"DIR": ".git", "INDEX_FILE": ".git/index", "WORK_TREE": ".", "PREFIX": ""}.items():
        monkeypatch.setenv(f"GIT_{name}", str(project.root / path))
    origin, commit = embedded.prepare(project.root, quiet)
    embedded.advance(origin, commit, quiet)
    with workspace.clone(origin, commit, quiet) as clone:
        assert clone.git("rev-parse", "--show-toplevel").strip() == str(clone.root)
    for name in ("DIR", "INDEX_FILE", "WORK_TREE", "PREFIX"):
        monkeypatch.delenv(f"GIT_{name}")
    assert (project.git("for-each-ref"), project.git("status", "--porcelain")) == before
    assert project.bare("rev-parse", "main") == commit == project.git("rev-parse", "HEAD")


@pytest.mark.parametrize("how", ["core.hooksPath", "init.templateDir"])
def test_hooks_that_a_user_has_for_all_repositories_are_not_for_private_clones(
    how: str, ready: Done, quiet: Runner
) -> None:
    project = ready.project
    for name in ("post-checkout", "pre-push"):
        hook = project.home / "all" / ("hooks" if how == "init.templateDir" else "") / name
        hook.parent.mkdir(parents=True, exist_ok=True)
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
    project.git("config", "--global", how, str(project.home / "all"))
    landed = promotion.register(project.origin, project.git("rev-parse", "HEAD"), "reviews", ready.entries, quiet)
    assert landed.version is not None


def test_settings_that_a_user_has_for_what_he_types_change_nothing_that_luodi_asks_of_git(
    ready: Done, monkeypatch: pytest.MonkeyPatch, quiet: Runner, tmp_path: Path
) -> None:
    """Each alone ended a landing, or came into what a tag says; the variable is that of a hook which magit starts."""
    project = ready.project
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    for name, value in {
        "clone.defaultRemoteName": "upstream",
        "commit.gpgSign": "true",
        "fetch.pruneTags": "true",
        "gpg.format": "ssh",
        "log.showSignature": "true",
        "push.gpgSign": "true",
        "safe.bareRepository": "explicit",
        "user.signingKey": str(tmp_path / "key"),
    }.items():
        project.git("config", "--global", name, value)
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    project.git("commit", "--quiet", "--amend", "--no-edit")
    project.git("tag", "reviews@mine")
    origin, commit = embedded.prepare(project.root, quiet)
    landed = promotion.register(origin, commit, "reviews", ready.entries, quiet)
    assert landed.version is not None
    assert re.fullmatch(r"\S{25}", landed.version.facts["data"]["dated"])
    checkout.sync(project.root, origin, landed.version, "text", quiet)
    assert project.git("tag", "--list").split() == ["reviews#production#1", "reviews@mine", "reviews@v1.0.0"]


def test_a_branch_that_a_killed_git_left_locked_is_told_with_what_to_remove(
    make_project: Callable[[str], Project], monkeypatch: pytest.MonkeyPatch, quiet: Runner
) -> None:
    project = make_project("locked")
    monkeypatch.setattr(embedded, "PAUSE", 0)
    origin, commit = embedded.prepare(project.root, quiet)
    lock = Path(origin.git, "refs", "heads", "main.lock")
    lock.touch()
    with pytest.raises(PushRejected, match=rf"run it again; if no git is at work there, remove {lock}$"):
        embedded.advance(origin, commit, quiet)
    lock.unlink()
    assert embedded.advance(origin, commit, quiet) == commit


def test_an_origin_of_another_users_is_told_with_what_to_tell_git(
    make_project: Callable[[str], Project], monkeypatch: pytest.MonkeyPatch, quiet: Runner
) -> None:
    """As in a container: git trusts the checkout, for it was told so, and not the repository below it."""
    project = make_project("another's")
    origin, _ = embedded.prepare(project.root, quiet)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # of git's own tests
    project.git("config", "--global", "--add", "safe.directory", str(project.root))
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.setenv(name, project.env.get(name, ""))
    told = rf"{origin.git} belongs to another user, .* run `git config --global --add safe.directory "
    for ask in (
        lambda: embedded.prepare(project.root, quiet),
        lambda: tags.versions(Path(origin.git), "reviews"),
        lambda: programs.git(origin, quiet, Path(origin.git), "rev-parse", "HEAD"),
        lambda: promotion.move(origin, "reviews", None, quiet, action="rollback", reason=""),
    ):
        with pytest.raises(GitError, match=told):
            ask()
    project.git("config", "--global", "--add", "safe.directory", origin.git)
    embedded.prepare(project.root, quiet)


def test_a_part_of_a_repository_is_refused(tmp_path: Path, quiet: Runner) -> None:
    """It was taken for an unpacked archive: what no commit holds ran."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "params.yaml").touch()
    git(tmp_path, "add", "--all")
    with pytest.raises(NotARepository, match=r"part is tracked by a git repository above it: .* move the project"):
        embedded.prepare(tmp_path / "part", quiet)
    assert not (tmp_path / "part" / ".luodi").exists()


def test_files_that_no_commit_has_become_one_to_be_judged_by_and_nothing_else_moves(
    make_project: Callable[[str], Project], quiet: Runner
) -> None:
    project = make_project("lying")
    origin, head = embedded.prepare(project.root, quiet, committed=False)
    assert head == project.git("rev-parse", "HEAD")
    for name in ("params.yaml", "own.py"):
        with (project.root / name).open("a") as file:
            file.write("# tried\n")
    project.git("update-index", "--assume-unchanged", "params.yaml")
    (project.root / "dvc.lock").write_text("schema: '2.0'\n")
    before = (
        project.git("for-each-ref"),
        project.git("ls-files", "--stage"),
        (project.root / "params.yaml").read_bytes(),
    )
    _, commit = embedded.prepare(project.root, quiet, committed=False)
    assert git(Path(origin.git), "diff", "--name-only", head, commit).split() == ["own.py", "params.yaml"]
    assert git(Path(origin.git), "rev-parse", f"{commit}~1") == head
    assert embedded.prepare(project.root, quiet, committed=False)[1] == commit, "the same files, the same commit"
    assert before == (
        project.git("for-each-ref"), project.git("ls-files", "--stage"), (project.root / "params.yaml").read_bytes()
    )  # fmt: skip
    with pytest.raises(DirtyCheckout):
        embedded.prepare(project.root, quiet)


UNSEEN = {
    "untracked": ["git config status.showUntrackedFiles no", "touch src/luodi/extra.py"],
    "assumed": ["git update-index --assume-unchanged params.yaml", "echo >> params.yaml"],
    "skipped": ["git update-index --skip-worktree params.yaml", "echo >> params.yaml"],
    "replaced": [
        "echo >> params.yaml", "git commit --quiet --all --message other", "git replace HEAD~1 HEAD",
        "git reset --quiet --soft HEAD~1",
    ],
}  # fmt: skip
"""Changes that `git status` does not tell of."""


@pytest.mark.parametrize("name", UNSEEN)
def test_a_change_that_git_is_told_not_to_see_is_seen(
    name: str, make_project: Callable[[str], Project], quiet: Runner
) -> None:
    project = make_project(f"unseen-{name}")
    checkout.clean_commit(project.root, quiet)
    for command in UNSEEN[name]:
        project.run("sh", "-c", command)
    assert project.git("status", "--porcelain") == ""
    with pytest.raises(DirtyCheckout, match=r"extra\.py|params\.yaml") as told:
        checkout.clean_commit(project.root, quiet)
    for command in re.findall(r"`(git update-index .*?)`", str(told.value)):
        project.run("sh", "-c", command)
        assert project.git("status", "--porcelain") == "M params.yaml"


def test_what_no_commit_holds_is_told_by_its_name(make_project: Callable[[str], Project], quiet: Runner) -> None:
    """git writes Chinese letters as octal numbers, spaces in quotes, and one name for two where a file was moved."""
    project = make_project("names")
    (project.root / "读 我.md").touch()
    project.git("mv", "NOTICE", "说明")
    assert set(checkout.uncommitted(project.root, quiet)) == {"NOTICE", "说明", "读 我.md"}
    with pytest.raises(DirtyCheckout, match="说明"):
        checkout.clean_commit(project.root, quiet)


def test_data_that_the_commit_does_not_record_is_refused_by_an_origin_of_ones_own(
    reproduced: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: Runner
) -> None:
    """A version landed whose data.dvc recorded other data than it was trained on."""
    project = reproduced.project.copy("unrecorded")
    project.run("sh", "-c", "sed -i 's/md5: ..../md5: 0000/' data.dvc && git commit --quiet --message data data.dvc")
    monkeypatch.setenv("LUODI_GIT_URL", str(project.root))
    monkeypatch.setenv("LUODI_HOME", str(tmp_path))
    with pytest.raises(SourceMismatch, match=r"data does not match data\.dvc: .* record them with `dvc add data`"):
        embedded.publish(project.root, "reviews", quiet, landing=True)


def test_what_dvcignore_keeps_from_dvc_is_no_part_of_the_data_unless_stages_read_it(
    make_project: Callable[[str], Project], quiet: Runner
) -> None:
    project = make_project("ignoring")
    (project.root / ".dvcignore").write_text(".DS_Store\nolder*\n")
    project.git("add", ".dvcignore")
    project.git("commit", "--quiet", "--message", "Ignore")
    for folder in ("data", "data/reviews"):
        (project.root / folder / ".DS_Store").touch()
    origin, commit = embedded.prepare(project.root, quiet)
    with workspace.clone(origin, commit, quiet) as clone:
        clone.pull_rows("reviews")
        assert [path.name for path in (clone.root / "data" / "reviews").iterdir()] == ["slice.parquet"]
    shutil.copy(project.root / "data/reviews/slice.parquet", project.root / "data/reviews/older.parquet")
    told = r"keeps data/reviews/older\.parquet from DVC: no commit holds these rows"
    with pytest.raises(SourceMismatch, match=told):
        embedded.prepare(project.root, quiet)
    (project.root / "data/reviews/older.parquet").rename(project.root / "data/reviews/more.parquet")
    with pytest.raises(SourceMismatch, match=r"data does not match data\.dvc"):
        embedded.prepare(project.root, quiet)


def test_only_what_is_here_of_a_sparse_checkout_is_looked_at(
    make_project: Callable[[str], Project], quiet: Runner
) -> None:
    project = make_project("sparse")
    project.git("status")  # else git, which knows no file of a copy yet, would take none away
    project.git("sparse-checkout", "set", "src")
    assert not (project.root / "tests").exists()
    assert checkout.clean_commit(project.root, quiet) == project.git("rev-parse", "HEAD")


def test_what_git_lfs_keeps_beside_the_checkout_is_found_by_clones_of_the_origin(
    make_project: Callable[[str], Project], quiet: Runner
) -> None:
    project = make_project("large files")
    origin, _ = embedded.prepare(project.root, quiet)
    assert not Path(origin.git, "lfs").exists()  # nothing is kept
    (project.root / ".git" / "lfs" / "objects" / "4d").mkdir(parents=True)
    Path(origin.git, "lfs", "objects").mkdir(parents=True)  # git-lfs leaves it where it found nothing
    for name in ("large files", "large files moved"):
        project = replace(project, root=project.root.rename(project.root.with_name(name)))
        origin, _ = embedded.prepare(project.root, quiet)
        link = Path(origin.git, "lfs", "objects")
        assert link.resolve() == project.root / ".git" / "lfs" / "objects"


def test_a_partial_clone_brings_what_it_left_behind(
    make_project: Callable[[str], Project], tmp_path: Path, quiet: Runner
) -> None:
    """What git would have to get first it gives nobody, unless it is asked to."""
    project = make_project("bringing")
    project.git("config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", f"file://{project.root}", "partial")
    shutil.copytree(project.root / "data", tmp_path / "partial" / "data", dirs_exist_ok=True)
    origin, commit = embedded.prepare(tmp_path / "partial", quiet)
    assert commit == project.git("rev-parse", "HEAD")
    assert git(Path(origin.git), "show", f"{commit}~1:params.yaml") == project.git("show", "HEAD~1:params.yaml")


@pytest.mark.parametrize("how", ["settings", "attributes"])
def test_line_ends_are_those_that_were_committed(
    how: str, make_project: Callable[[str], Project], quiet: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on machines whose git turns them; DVC writes its own, and git took data.dvc for changed."""
    project = make_project(f"line-ends-{how}")
    if how == "attributes":
        (project.root / ".gitattributes").write_text("* text eol=crlf\n")
    else:
        (project.root / ".gitattributes").unlink()
        project.git("config", "--global", "core.autocrlf", "true")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "line ends")
    for key in ("HOME", "GIT_CONFIG_GLOBAL"):
        monkeypatch.setenv(key, project.env[key])
    origin, commit = embedded.prepare(project.root, quiet)
    with workspace.clone(origin, commit, quiet) as clone:
        for name in ("params.yaml", "data.dvc", "luodi.lock"):
            assert (clone.root / name).read_bytes().decode() == project.run("git", "show", f"{commit}:{name}")


def test_a_repository_of_other_hashes_is_refused(tmp_path: Path, quiet: Runner) -> None:
    git(tmp_path, "init", "--quiet", "--object-format=sha256")
    git(tmp_path, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "-m", "one")
    with pytest.raises(GitError, match="is a git repository of SHA-256 objects: expected SHA-1"):
        embedded.prepare(tmp_path, quiet)
    assert not (tmp_path / ".luodi").exists()


def test_runs_do_not_lock_the_settings_of_the_origin_against_each_other(
    make_project: Callable[[str], Project], quiet: Runner
) -> None:
    project = make_project("settings")
    origin, _ = embedded.prepare(project.root, quiet)
    Path(origin.git, "config.lock").touch()  # by another run, or one that was killed
    embedded.prepare(project.root, quiet)


# The process that forks the examples


class Story:
    """One checkout, its embedded origin, and what people do."""

    def __init__(self, template: Template, root: Path, number: int) -> None:
        self.template, self.root = template, root
        self.random = random.Random(number)
        self.tally: Counter[str] = Counter()
        self.challengers = [name for name in QUALITY if name not in ("hopeless", "similar", "again")]
        self.told: list[str] = []
        git(root.parent, "clone", "--quiet", str(template.folder / "checkout"), str(root))
        shutil.copytree(template.folder / "checkout" / "data", root / "data")
        (root / ".luodi").mkdir()
        (root / ".luodi" / ".gitignore").write_text("*\n")
        (root / ".luodi" / "cache").symlink_to(template.folder / "cache")
        seeded = stored(root / ".luodi" / "remote", folder_checksum(root / "data"))
        seeded.parent.mkdir(parents=True)
        seeded.touch()

    @property
    def origin(self) -> Origin:
        return Origin.embedded(self.root)

    def git(self, *arguments: str) -> str:
        output: str = git(self.root, *arguments)
        return output

    def bare(self, *arguments: str) -> str:
        output: str = git(Path(self.origin.git), *arguments)
        return output

    def files(self, where: Callable[..., str], commit: str) -> list[str]:
        return [line for line in where("ls-tree", "-r", commit).splitlines() if not line.endswith(f"\t{LOCK}")]

    # What the user does

    def commit(self) -> None:
        name = f"{self.random.choice('abc')}.txt"
        (self.root / name).write_text(f"{self.random.random()}\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", f"Write {name}")

    def commit_with_lock(self) -> None:
        """As after `dvc repro`: with entries of an own challenger."""
        entries = self.template.entries["careful", self.random.choice([*QUALITY])]
        locks.write(self.root / LOCK, locks.merge(locks.read(self.root / LOCK), "careful", entries))
        self.commit()

    def revert(self) -> None:
        log = self.git("log", "--format=%H", "--no-merges", "--max-count=4", f"{self.template.commit}..").split()
        if log and self._may_fail("revert", "--no-edit", self.random.choice(log)):
            self.tally["reverted"] += 1

    def amend(self) -> None:
        if self.git("rev-parse", "HEAD") == self.template.commit:
            return
        (self.root / "a.txt").write_text(f"{self.random.random()}\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--amend", "--no-edit")
        self.tally["amended"] += 1

    def reset(self) -> None:
        if self.git("rev-list", "--first-parent", f"{self.template.commit}.."):
            self.git("reset", "--quiet", "--hard", "HEAD~1")

    def branch(self) -> None:
        self.git("checkout", "--quiet", "-B", self.random.choice(["one", "two"]))

    def switch(self) -> None:
        self.git("checkout", "--quiet", self.random.choice(self._branches()))

    def rebase(self) -> None:
        if self._may_fail("rebase", "--quiet", self.random.choice(self._branches())):
            self.tally["rebased"] += 1

    def merge(self) -> None:
        if self._may_fail("merge", "--quiet", "--no-edit", self.random.choice(self._branches())):
            self.tally["merged"] += 1

    def _branches(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()

    def _may_fail(self, command: str, *arguments: str) -> bool:
        """Whether it came to an end without a conflict."""
        done = subprocess.run(["git", command, *arguments], cwd=self.root, capture_output=True, check=False)
        if done.returncode:
            subprocess.run(["git", command, "--abort"], cwd=self.root, capture_output=True, check=False)
            self.git("reset", "--quiet", "--hard")
        return not done.returncode

    # What others do at the origin

    def push(self, runner: Local) -> None:
        if self.bare("for-each-ref", "refs/heads/main"):
            tree = self.bare("rev-parse", "main^{tree}")
            blob = git(Path(self.origin.git), "hash-object", "-w", "--stdin", stdin="A note\n")
            listed = [*self.bare("ls-tree", tree).splitlines(), f"100644 blob {blob}\tnote-{self.random.random()}"]
            tree = git(Path(self.origin.git), "mktree", stdin="\n".join(listed) + "\n")
            self.bare("update-ref", "refs/heads/main", self.bare("commit-tree", tree, "-p", "main", "-m", "A note"))

    def gate(self, runner: Local) -> None:
        before = self.bare("for-each-ref") if Path(self.origin.git).exists() else ""
        embedded.prepare(self.root, runner)
        assert self.bare("for-each-ref") == before, "gate moved a ref"

    # A run

    def run(self, runner: Local) -> None:
        head, refs = self.git("rev-parse", "HEAD"), self.git("for-each-ref")
        landed = self._landed()
        commit = self._read(runner, head, landed)
        if self.challengers and self.random.random() < 0.7:
            before = self.bare("rev-parse", "main")
            if self.random.random() < 0.4:
                self.push(runner)
            self._land(runner, commit, before)
        assert self.git("for-each-ref") == refs and self.git("rev-parse", "HEAD") == head, "the checkout has changed"

    def _read(self, runner: Local, head: str, landed: locks.Entries) -> str:
        """What a run reads."""
        origin, commit = embedded.prepare(self.root, runner)
        assert commit == head, "the commit is not the user's"
        before = self.bare("for-each-ref", "--format=%(objectname)", "refs/heads/main")
        after = embedded.advance(origin, commit, runner)
        self.tally["kept" if after == before else "forward" if after == head else "joined"] += 1
        assert self.files(self.bare, after) == self.files(self.git, head), "a run reads other files"
        assert self.bare("rev-parse", "main") == after
        history = self.bare("rev-list", "main").split()
        assert head in history and (not before or before in history), "the branch lost commits"
        lock = locks.parse(self.bare("show", f"main:{LOCK}"), LOCK)
        assert landed.items() <= lock.items(), "what landed is lost"
        assert embedded.advance(origin, commit, runner) == after, "the same commit again is another run"
        return after

    def _land(self, runner: Local, commit: str, before: str) -> None:
        challenger = self.challengers.pop(0)
        entries = self.template.entries["quick", challenger]
        do(Plan("push", "quick", challenger), replace(self.template, commit=commit), self.origin, runner)
        landed = promotion.register(self.origin, commit, "quick", entries, runner)
        assert landed.version and landed.new, landed.decision.reasons
        self.tally["landed"] += 1
        tagged = landed.version.commit
        assert self.files(self.git, str(landed.version.facts["commit"])) == self.files(self.git, "HEAD")
        assert self.files(self.bare, tagged) == self.files(self.git, "HEAD"), "a version is not what was trained"
        assert entries.items() <= locks.parse(self.bare("show", f"{tagged}:{LOCK}"), LOCK).items()
        history = self.bare("rev-list", "main").split()
        assert before in history, "landing lost commits"
        assert entries.items() <= self._landed().items()
        self.tally["beside main"] += tagged not in history

    def _landed(self) -> locks.Entries:
        if not Path(self.origin.git).exists() or not self.bare("for-each-ref", "refs/heads/main"):
            return {}
        return locks.parse(self.bare("show", f"main:{LOCK}"), LOCK)

    def tell(self, runner: Local) -> None:
        """Let things happen."""
        mine = [self.commit, self.commit, self.commit_with_lock, self.revert, self.revert, self.amend, self.reset,
                self.branch, self.switch, self.rebase, self.merge]  # fmt: skip
        theirs = [self.run, self.run, self.gate, self.push]
        for _ in range(STEPS):
            for step in self.random.sample(mine, 2):
                self.told.append(step.__name__)
                step()
            if not Path(self.origin.git).exists():
                self.gate(runner)
            step_there = self.random.choice(theirs)
            self.told.append(step_there.__name__)
            step_there(runner)


def example(template: Template, folder: Path, number: int) -> Counter[str]:
    """Tell one story in a process of its own; return how often what happened."""
    story = Story(template, folder / f"story-{number}", number)
    note = folder / f"tally-{number}.json"

    def work() -> int:
        out = os.fdopen(os.dup(2), "w")
        try:
            story.tell(Local())
        except BaseException:
            print(f"example {number}: {' '.join(story.told)}\n{traceback.format_exc()}", file=out, flush=True)
            raise
        note.write_text(json.dumps(story.tally))
        return 0

    code, output = forked(work)
    assert code == 0, output
    shutil.rmtree(story.root)
    return Counter(json.loads(note.read_text()))


def with_data(template: Template) -> Template:
    """Give the tiny project what the embedded origin wants of a checkout: data, as data.dvc records them."""
    checkout = template.folder / "checkout"
    (checkout / "data").mkdir()
    (checkout / "data" / "rows").write_text("rows\n")
    pointer = {"outs": [{"md5": folder_checksum(checkout / "data"), "hash": "md5", "path": "data"}]}
    (checkout / "data.dvc").write_text(yaml.safe_dump(pointer))
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "-m", "Add data")
    return replace(template, commit=git(checkout, "rev-parse", "HEAD"))


def main(folder: Path, examples: int) -> int:
    """Run the examples, each from its own seed, and some more until all has happened; print a tally of all."""
    spare_time()
    template = with_data(make(folder))
    preload(lambda runner: Story(template, folder / "first", 0).run(runner), folder / "modules")
    tally: Counter[str] = Counter()
    for number in range(1, 2 * examples + 1):
        if number <= examples or not all(tally[name] for name in MEANT):
            tally += example(template, folder, number)
    print(json.dumps(tally))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
