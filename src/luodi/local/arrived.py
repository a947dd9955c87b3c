"""Rows that came in at the embedded origin by `ingest_MODEL`, beside those that the checkout records: both stay.

What a commit of the checkout's history recorded once, and does not now, was taken out on purpose and stays out.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from luodi import yaml12
from luodi.data import forgotten
from luodi.errors import BrokenData
from luodi.files import read_json, write_text
from luodi.project import commits, dvc_store, programs
from luodi.project.origin import Origin
from luodi.system.processes import CommandFailed, Runner

POINTER = "data.dvc"
Files = Mapping[str, str]
"""Path below data/ -> MD5."""


def missing(git: commits.Git, store: Path, commit: str, before: str) -> Files:
    """Return the files that came in at the origin up to `before`, and that the history of `commit` never had."""
    came: dict[str, str] = {}
    grep = ("--basic-regexp", "--grep=^Ingest into ")
    for one in git("rev-list", "--reverse", *grep, before, f"^{commit}").split():
        came |= dict(_files(git, store, one).items() - _files(git, store, f"{one}^").items())
    if not came:
        return {}
    for one in git("rev-list", commit, "--", POINTER).split():
        came = dict(came.items() - _files(git, store, one).items())
    there = _files(git, store, commit)
    known, gone = {path.partition("/")[0] for path in there}, forgotten.gone(_forgotten(store, there))
    return {path: md5 for path, md5 in came.items() if path.partition("/")[0] in known and md5 not in gone}


def require_nothing_forgotten(git: commits.Git, store: Path, commit: str, came: Files) -> None:
    """Raise BrokenData where rows came in that `commit` had forgotten: they came by another way than its ingest."""
    there = _files(git, store, commit)
    for model in {path.partition("/")[0] for path in came}:
        own = {path: md5 for path, md5 in there.items() if path.startswith(f"{model}/")}
        known = forgotten.Known.of(_forgotten(store, own))
        for path in [path for path in came if path.startswith(f"{model}/") and path.endswith(".parquet")]:
            rows = (
                sum(known.has(*row) for row in _rows(Path(dvc_store.place(store, came[path])))) if known.digests else 0
            )
            if rows:
                raise BrokenData(
                    f"{rows:,} rows that were forgotten came in again at the origin, in {path}: `luodi sync`, then "
                    f"`luodi data forget {model}` takes them out; commit data.dvc, and run it again"
                )


def _forgotten(store: Path, files: Files) -> list[forgotten.Forgotten]:
    named = [md5 for path, md5 in sorted(files.items()) if path.partition("/")[2].startswith(forgotten.PREFIX)]
    return [forgotten.read_one(path) for md5 in named if (path := Path(dvc_store.place(store, md5))).exists()]


def _rows(shard: Path) -> Iterator[tuple[Any, str | None]]:
    """What each row of a shard holds, and its id."""
    with pq.ParquetFile(shard) as file:
        names = file.schema_arrow.names
        item = next(name for name in ("text", "image") if name in names)
        for batch in file.iter_batches(columns=[item, *(["id"] if "id" in names else [])]):
            own = batch["id"].to_pylist() if "id" in names else [None] * len(batch)
            yield from zip(batch[item].to_pylist(), own, strict=True)


def with_files(git: commits.Git, store: Path, commit: str, more: Files) -> str:
    """Return the text of data.dvc of `commit` with more files, its list put into the store."""
    files = {**_files(git, store, commit), **more}
    listing = json.dumps([{"md5": files[path], "relpath": path} for path in sorted(files)])
    md5 = hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest() + ".dir"
    write_text(Path(dvc_store.place(store, md5)), listing)
    size = sum(Path(dvc_store.place(store, one)).stat().st_size for one in files.values())
    out = {"md5": md5, "size": size, "nfiles": len(files), "hash": "md5", "path": "data"}
    return yaml12.dump({"outs": [out]})


def bring(root: Path, origin: Origin, runner: Runner) -> list[str]:
    """Copy into data/ of the checkout what came in at the embedded origin, and record it; return the paths."""
    store = Path(origin.remote or "")

    def git(*arguments: str) -> str:
        return programs.git(origin, runner, Path(origin.git), *arguments)

    try:
        commit = runner.run("git", "rev-parse", "HEAD", cwd=root).strip()
        more = missing(git, store, commit, f"refs/heads/{origin.branch}")
    except CommandFailed:
        return []  # a source archive, or a commit that never ran
    more = {path: md5 for path, md5 in more.items() if not (root / "data" / path).exists()}
    for path, md5 in more.items():
        shutil.copyfile(dvc_store.place(store, md5), root / "data" / path)
    if more:
        programs.dvc(runner, root, "add", "data")
    return sorted(more)


def _files(git: commits.Git, store: Path, commit: str) -> Files:
    try:
        pointer = yaml12.parse(git("show", f"{commit}:{POINTER}"), strict=False)
    except CommandFailed:
        return {}
    md5 = pointer["outs"][0]["md5"]
    if dvc_store.lacks(store, md5):
        return {}  # whoever reads the rows says what to do
    return {one["relpath"]: one["md5"] for one in read_json(Path(dvc_store.place(store, md5)))}
