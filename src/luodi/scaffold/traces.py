"""Where rows still are that were forgotten, and removing their bytes from the DVC cache and remote.

What is removed is told by the files that record it, so that whatever ends it, doing it again does the rest.
"""

import base64
import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from luodi import yaml12
from luodi.data import forgotten
from luodi.errors import ArtifactError, NotARepository
from luodi.project import locks
from luodi.project.origin import Origin
from luodi.project.paths import ModelPaths
from luodi.system.processes import Runner
from luodi.terminal import shown

POINTER, LOCK = "data.dvc", "dvc.lock"
HOLDING = {
    "validate": ("clean.parquet", "quarantine.parquet", "docs", "result.json", "report.html"),
    "preprocess": ("rows.parquet", "arrays", "nearest.parquet", "report.html"),
    "evaluate": ("mistakes.csv", "report.html"),
}
"""Outputs that hold rows. What was trained on them holds no row, though it may give some away."""
SAMPLE = "sample.json"
"""Holds a few rows, by which a version is proven: it goes where a forgotten one is among them."""
READ = (".html", ".csv", ".json", ".txt", ".md")
NEEDLES = 400  # texts that are looked for in pages, as they came and as they were cleaned
BEGINNING = 40  # characters of each: pages cut long ones


@dataclass(frozen=True)
class Store:
    """A cache or remote of DVC."""

    name: str
    odb: Any

    def has(self, wanted: set[str]) -> list[str]:
        """Return which of these MD5s it holds."""
        return [md5 for md5 in sorted(wanted) if self.odb.exists(md5)]


@dataclass(frozen=True)
class Traces:
    """A model's rows that were forgotten, as git, DVC and files of this machine have them."""

    root: Path
    model: str
    texts: Sequence[str]
    runner: Runner

    @cached_property
    def gone(self) -> set[str]:
        """MD5s of the files that held them, and that data/ does not record for another model."""
        pointer = yaml12.read(self.root / POINTER)
        now = self._listed(yaml12.parse(pointer)["outs"][0]["md5"])
        return forgotten.gone(forgotten.read(ModelPaths(self.root, self.model).data)) - (now or set())

    @cached_property
    def stores(self) -> list[Store]:
        """The DVC cache of the checkout and that of tasks, and the remote."""
        from dvc.repo import Repo

        from luodi.project import strict_dvc

        strict_dvc.check_host_keys()
        repo, origin = Repo(str(self.root)), self._origin
        own = Path(repo.cache.local.path).resolve()
        stores = [Store(f"DVC cache {own}", repo.cache.local)]
        if origin and (origin.home / "cache").exists() and not own.is_relative_to((origin.home / "cache").resolve()):
            stores.append(Store(f"cache of tasks {origin.home / 'cache'}", _folder(repo, origin.home / "cache")))
        if repo.config["core"].get("remote"):
            odb = repo.cloud.get_remote_odb()
            stores.append(Store(f"DVC remote {odb.fs.unstrip_protocol(odb.path)}", odb))
        elif origin and origin.remote and "://" not in origin.remote and Path(origin.remote).exists():
            stores.append(Store(f"DVC remote {origin.remote}", _folder(repo, Path(origin.remote))))
        return stores

    @cached_property
    def _origin(self) -> Origin | None:
        try:
            return Origin.find(self.root)
        except NotARepository:
            return None

    @cached_property
    def _repositories(self) -> list[Path]:
        from luodi.registry import tags

        found = [self.root] if (self.root / ".git").exists() else []
        return [*found, tags.mirror(self._origin, self.runner)] if self._origin else found

    def _git(self, where: Path, *arguments: str) -> str:
        return self.runner.run("git", *arguments, cwd=where)

    @cached_property
    def entries(self) -> list[tuple[str, dict[str, Any], bool]]:
        """Of each dvc.lock in git: an object that names it, the model's entries, and whether they are of these rows."""
        texts: dict[str, str] = {}
        for where in self._repositories:
            for line in self._git(where, "log", "--all", "--format=", "--raw", "--no-abbrev", "--", LOCK).splitlines():
                blob = line.split()[3]
                if blob.strip("0") and blob not in texts:
                    texts[blob] = self._git(where, "cat-file", "blob", blob)
        if (here := self.root / LOCK).exists():
            texts["now"] = here.read_text(encoding="utf-8", errors="surrogateescape")
        found = []
        for name, text in texts.items():
            try:
                own = locks.of_model(locks.parse(text, LOCK), self.model)
            except ArtifactError:
                continue
            found.append((name, own, self._read_them(own)))
        return found

    def _read_them(self, entries: dict[str, Any]) -> bool:
        """Whether the rows that the entries are of were among what was read; yes where nobody can tell any more."""
        deps = entries.get(f"validate@{self.model}", {}).get("deps", ())
        md5s = [dep["md5"] for dep in deps if dep["path"] == f"data/{self.model}"]
        lists = [self._listed(md5) for md5 in md5s]
        return any(files is None or self.gone & files for files in lists)

    def _sampled(self, md5: str) -> bool:
        """Whether the sample of a version has a row that was forgotten."""
        known = forgotten.known(ModelPaths(self.root, self.model).data)
        for store in self.stores:
            if store.odb.exists(md5):
                with store.odb.fs.open(store.odb.oid_to_path(md5)) as file:
                    kept = json.load(file)
                items = kept.get("texts") or [base64.b64decode(image) for image in kept.get("images", ())]
                return any(map(known.has, items))
        return False

    def _listed(self, md5: str) -> set[str] | None:
        for store in self.stores:
            if store.odb.exists(md5):
                with store.odb.fs.open(store.odb.oid_to_path(md5)) as file:
                    return {one["md5"] for one in json.load(file)}
        return None

    @cached_property
    def made(self) -> set[str]:
        """MD5s of what stages made of them, that hold rows, and that nothing else is made of."""
        of_them: set[str] = set()
        others: set[str] = set()
        for _, entries, theirs in self.entries:
            for stage, names in HOLDING.items():
                outs = locks.outputs(entries, f"{stage}@{self.model}")
                found = {md5 for path, md5 in outs.items() if Path(path).name in names}
                found |= {md5 for path, md5 in outs.items() if Path(path).name == SAMPLE and self._sampled(md5)}
                of_them |= found if theirs else set()
                others |= set() if theirs else found
        files = {file for md5 in of_them - others if md5.endswith(".dir") for file in self._listed(md5) or ()}
        return (of_them | files) - others

    def told(self) -> list[str]:
        """Return a line for each place that still holds rows that were forgotten."""
        lines = []
        for store in self.stores:
            if found := store.has(self.gone | self.made):
                lines.append(f"{store.name}: {len(found):,} files, of shards and of what stages made of them")
        lines += self._versions()
        lines += [f"{shown(path)} holds the text of some" for path in self._pages()]
        if (held := ModelPaths(self.root, self.model).quarantine).exists():
            lines.append(f"artifacts/{self.model}, {held.name} among it, was made before: the next run makes it again")
        lines.append(
            "other clones, their caches and backups: nobody here can tell; `git pull` and `dvc checkout` there"
        )
        return lines

    def _versions(self) -> list[str]:
        from luodi.registry import tags

        if not self._origin:
            return []
        theirs = {name for name, _, of_them in self.entries if of_them}
        repository, lines = tags.mirror(self._origin, self.runner), []
        trained = []
        for version in tags.versions(repository, self.model):
            blob = self._git(repository, "rev-parse", f"{version.commit}:{LOCK}").strip()
            if blob in theirs:
                trained.append(version.name)
            if _among(_needles(self.texts), json.dumps(dict(version.facts), ensure_ascii=False)):
                lines.append(f"the tag of {version.name} holds the text of some, in its sample")
        if trained:
            lines.append(f"trained on them, and not changed by this: {', '.join(trained)}")
        return lines

    def _pages(self) -> Iterator[Path]:
        """Files on this machine that people read, and that hold the text of some row."""
        needles = _needles(self.texts)
        if not needles:
            return
        homes = [self._origin.home] if self._origin else []
        folders = [self.root / "artifacts" / self.model]
        folders += [home / name for home in homes for name in ("reports", "pages", "failed", "deployed")]
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.suffix in READ and path.is_file() and _among(needles, path.read_text("utf-8", "replace")):
                    yield path

    def purge(self) -> list[str]:
        """Remove the bytes of the shards that held them, and of what stages made of these; return what was done."""
        lines = []
        wanted = self.gone | self.made
        for store in self.stores:
            found = store.has(wanted)
            for md5 in found:
                store.odb.delete(md5)
            lines.append(f"removed {len(found):,} files from {store.name}")
        return lines


def _folder(repo: Any, path: Path) -> Any:
    """A DVC store in a folder."""
    from dvc_data.hashfile.db.local import LocalHashFileDB

    return LocalHashFileDB(repo.cache.local.fs, str(path / "files" / "md5"))  # type: ignore[no-untyped-call]


def _needles(texts: Sequence[str]) -> set[str]:
    """What to look for: beginnings of texts that can be told from others, as they stand and as pages write them."""
    some = [text[:BEGINNING] for text in texts if len(text) > 3][:NEEDLES]
    return {one for text in some for one in (text, html.escape(text), json.dumps(text)[1:-1])}


def _among(needles: set[str], text: str) -> bool:
    return any(needle in text for needle in needles)
