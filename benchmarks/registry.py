"""What a registry costs as its versions grow in number: to read it, to list it, to land in it, to roll it back.

    python benchmarks/registry.py --versions 20 260 750 2000

A tiny project lands one real version. The others are copies of its tag, each with a commit, a dvc.lock and a move of
production of its own, until production is back at the real one. They are packed, as git packs what it is sent from
time to time; with --loose none is. All is timed in turn on each of the registries: seconds of the processor, of every
process, since others may be at work on the machine; the least of the repeats. Beside each figure stands its ratio to
that of the first registry.

DVC is most of a landing, and the same in all of them: what is left (git, the reading of tags, the gate) has a line of
its own.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:1] = [str(ROOT / "tests" / "integration")]  # not this folder: it has a module of this name

from actors import GITCONFIG, Template, git, make  # noqa: E402, the tests' tiny project

from luodi.project import locks, workspace  # noqa: E402
from luodi.project.origin import Origin  # noqa: E402
from luodi.registry import promotion, tags  # noqa: E402
from luodi.system.processes import Runner  # noqa: E402

MODEL, FIRST, NEXT = "quick", "weak", "best"
COMMIT = """\
commit refs/heads/main
committer Benchmark <b@localhost> {time} +0000
data 2
x
{parent}M 644 inline dvc.lock
data {size}
{lock}
"""
TAG = """\
tag {name}
from {commit}
tagger Benchmark <b@localhost> {time} +0000
data {size}
{message}
"""
"""For git fast-import."""


def clock() -> float:
    """Seconds of the processor that this process, and those that it waited for, have used."""
    return sum(os.times()[:4])


class Timed(Runner):
    """Notes the seconds that commands other than git took."""

    others: float = 0.0

    def run(self, *command: str, cwd: Path, env: Mapping[str, str] | None = None, stream: bool = False) -> str:
        start = clock()
        try:
            return super().run(*command, cwd=cwd, env=env, stream=stream)
        finally:
            self.others += 0 if command[0] == "git" else clock() - start


@dataclass(frozen=True)
class World:
    """A registry of so many versions, and the tiny project that lands in it."""

    versions: int
    origin: Origin
    template: Template

    @property
    def bare(self) -> Path:
        return Path(self.origin.git)

    def read(self) -> dict[str, float]:
        start = clock()
        found = tags.versions(self.bare, MODEL)
        seconds = clock() - start
        assert len(found) == self.versions
        return {"registry.versions": seconds}

    def list(self) -> dict[str, float]:
        start = clock()
        command = [sys.executable, "-c", "from luodi.cli import main; main()", "models"]
        where = {"cwd": self.template.folder / "checkout", "env": os.environ | self.origin.environment()}
        subprocess.run(command, **where, check=True, stdout=subprocess.DEVNULL)  # type: ignore[call-overload]
        return {"luodi models": clock() - start}

    def land(self) -> dict[str, float]:
        """Land, roll back, and undo both."""
        refs, started = self._refs(), clock()
        runner = Timed(lambda line: None)
        entries = self.template.entries[MODEL, NEXT]
        landed = promotion.register(self.origin, self.template.commit, MODEL, entries, runner)
        whole, others, started = clock() - started, runner.others, clock()
        assert landed.new, landed.decision
        promotion.move(self.origin, MODEL, None, runner, action="rollback", reason="")
        back = clock() - started
        new = "\n".join(f"delete {name}" for name in self._refs().keys() - refs.keys())
        git(self.bare, "update-ref", "--stdin", stdin=f"update refs/heads/main {refs['refs/heads/main']}\n{new}\n")
        return {"a landing": whole, "of it not DVC": whole - others, "a rollback": back}

    def _refs(self) -> dict[str, str]:
        listed = git(self.bare, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split() for line in listed)


def make_world(template: Template, folder: Path, versions: int, loose: bool) -> World:
    """A world of its own, in which the files of two challengers are in the DVC remote, and the first has landed."""
    for name in ("origin.git", "remote"):
        shutil.copytree(template.folder / name, folder / name)
    (folder / "home").mkdir()
    (folder / "home" / "cache").symlink_to(template.folder / "cache")
    origin, runner = Origin(str(folder / "origin.git"), "main", str(folder / "remote"), folder / "home"), Runner(print)
    for challenger in (FIRST, NEXT):
        entries = template.entries[MODEL, challenger]
        with workspace.clone(origin, template.commit, runner) as clone:
            locks.write(clone.lock, locks.merge(locks.read(clone.lock), MODEL, entries))
            clone.dvc("push", *entries)
    promotion.register(origin, template.commit, MODEL, template.entries[MODEL, FIRST], runner)
    grow(Path(origin.git), versions)
    if loose:
        (pack,) = (folder / "origin.git" / "objects" / "pack").glob("*.pack")
        with pack.rename(folder / pack.name).open("rb") as file:
            subprocess.run(["git", "unpack-objects", "-q"], cwd=origin.git, stdin=file, check=True)
    else:
        git(Path(origin.git), "gc", "--quiet")
    return World(versions, origin, template)


def grow(bare: Path, versions: int) -> None:
    """Copy v1.0.0 until there are so many versions, each in production once, and v1.0.0 again in the end."""
    lock, now = git(bare, "show", f"{MODEL}@v1.0.0:dvc.lock"), int(time.time())
    message = git(bare, "tag", "--list", "--format=%(contents)", f"{MODEL}@v1.0.0")
    (export,) = re.findall(r'"export": "(\w+)', message)
    parts = []

    def tag(name: str, commit: str, message: str, at: int) -> None:
        parts.append(TAG.format(name=name, commit=commit, time=now + at, size=len(message.encode()), message=message))

    def move(place: int, number: str, commit: str) -> None:
        said = f'{MODEL} {number} to production\n\n{{"action": "promote", "from": null, "reason": ""}}'
        tag(f"{MODEL}#production#{place}", commit, said, place)

    for one in range(1, versions):
        own = hashlib.md5(str(one).encode()).hexdigest()
        parent, changed = "from refs/heads/main^0\n" if one == 1 else "", lock.replace(export, own)
        parts.append(COMMIT.format(time=now + one, parent=parent, size=len(changed.encode()), lock=changed))
        tag(f"{MODEL}@v1.0.{one}", "refs/heads/main", message.replace(export, own), one)
        move(one + 1, f"v1.0.{one}", "refs/heads/main")
    move(versions + 1, "v1.0.0", f"refs/tags/{MODEL}@v1.0.0^{{commit}}")
    git(bare, "fast-import", "--quiet", stdin="".join(parts))


def show(worlds: Sequence[World], seconds: Mapping[str, Mapping[int, list[float]]]) -> None:
    print(f"{'':20}" + "".join(f"{world.versions:>17,}" for world in worlds))
    for name, by_size in seconds.items():
        best = {size: min(times) for size, times in by_size.items()}
        first = best[worlds[0].versions]
        print(f"{name:20}" + "".join(f"{value:>9.3f} s {value / first:>5.2f}" for value in best.values()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, nargs="+", default=[20, 260, 750, 2000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--loose", action="store_true", help="each tag and object in a file of its own")
    parser.add_argument("--read", action="store_true", help="neither land nor roll back")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "gitconfig").write_text(GITCONFIG)
        os.environ |= {"HOME": folder, "GIT_CONFIG_GLOBAL": f"{folder}/gitconfig", "GIT_CONFIG_NOSYSTEM": "1"}
        template = make(Path(folder))
        worlds = [make_world(template, Path(folder) / str(size), size, arguments.loose) for size in arguments.versions]
        seconds: dict[str, dict[int, list[float]]] = {}
        for _ in range(arguments.repeats):
            for work in (World.read, World.list) if arguments.read else (World.read, World.list, World.land):
                for world in worlds:
                    for name, value in work(world).items():
                        seconds.setdefault(name, {}).setdefault(world.versions, []).append(value)
        show(worlds, seconds)


if __name__ == "__main__":
    main()
