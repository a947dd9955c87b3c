"""Forget rows of a model: shards are written again without them, and what is known of them is a digest.

All else only adds, and keeps what it corrects as history; this alone removes.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi import config
from luodi.config import ModelSettings
from luodi.data import arrivals, forgotten, modality, shards, tables
from luodi.data.arrivals import KEY, Arrival
from luodi.data.forgotten import Forgotten, Known
from luodi.data.shards import OF_GROUP
from luodi.errors import MissingColumn, MissingData
from luodi.files import checksum, write_facts
from luodi.project.paths import PARAMS, ModelPaths
from luodi.scaffold import changes, pipeline
from luodi.system.processes import Runner
from luodi.terminal import shown

ORIGIN, ID = shards.ORIGIN, "id"
AGAIN = re.compile(r"(-[0-9a-f]{12})-[0-9a-f]{12}$")
"""The end of the name of a shard that was written again before; what stands in front keeps its place in the order."""
Marks = dict[str, NDArray[np.bool_]]
"""Shard -> which of its rows are forgotten, bool [rows]; shards that hold none are not there."""


@dataclass
class Asked:
    """What a sheet names: rows by their place, what they hold, where they came from, or their id."""

    places: set[tuple[str, int]] = field(default_factory=set)
    items: set[Any] = field(default_factory=set)
    origins: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, sheet: Path, settings: ModelSettings) -> "Asked":
        """Read a sheet, by the first of these columns that it has: `row`, `id`, the text, `origin`.

        Raises:
            DataError: It has none of them, or cannot be read.
        """
        table, found = tables.look(sheet), cls()
        item = settings.column if settings.column in table.columns else settings.modality
        in_words = shards.COLUMNS[settings.modality][settings.modality] == pa.string()
        known = {KEY: None, ID: found.ids, **({item: found.items} if in_words else {}), ORIGIN: found.origins}
        name = next((one for one in known if one in table.columns), None)
        if name is None:
            raise MissingColumn(
                f"{sheet}: expected a column {', '.join(known)}, by which rows are named; found "
                f"{', '.join(shown(one, 40) for one in table.columns[:9]) or 'none'}; name them by one"
            )
        for place, row in tables.records(table, (name,)):
            value = str(tables.value(row, name) or "")
            if name == KEY:
                found.places |= _places(value, f"{sheet}, {place}")
            elif value:
                known[name].add(value)  # type: ignore[union-attr]
        return found


def _places(cell: str, where: str) -> set[tuple[str, int]]:
    try:
        return set(arrivals.places(cell))
    except ValueError:
        raise MissingData(
            f"{where}: expected what luodi wrote under `{KEY}`, found {shown(cell, 40)}: write the sheet again by "
            "`luodi quarantine` or `luodi labels review`"
        ) from None


@dataclass(frozen=True)
class Done:
    """What was forgotten: so many rows, what they held as pages show it (texts alone), and what is said of it."""

    rows: int
    texts: Sequence[str]
    said: str


def forget(root: Path, model: str, sheet: Path | None, runner: Runner) -> Done:
    """Take the rows that a sheet names out of all shards of a model; without one, what was forgotten and came again.

    A row is forgotten with all that hold the same, whatever their label; one with an id with all of that id.

    Raises:
        UnknownKey: There is no such model.
        DataError: The sheet cannot be used, names a row that is not there, or no row would be left.
    """
    settings = config.settings_of(config.load(root / PARAMS), model)
    paths = ModelPaths(root, model)
    with changes.exclusive(root) as staging:
        record = changes.require_data(root, model, runner)
        before = forgotten.read(paths.data)
        known = Known.of(before)
        digests = set(known.digests)
        if sheet:
            digests |= _digests(paths.data, settings, Asked.of(sheet, settings), known)
        marks, texts = _marks(paths.data, settings, replace(known, digests=frozenset(digests)))
        rows = sum(int(one.sum()) for one in marks.values())
        if not marks and digests == known.digests:
            return Done(0, [], f"nothing to forget: no row of {model} is named")
        if rows == shards.rows(paths.data):
            raise MissingData(
                f"no row of {model} would be left: `luodi retire {model} --data` takes all of its data out"
            )
        moves = _moves(paths.data, staging, marks, known.salt, digests - known.digests)
        changes.make(root, paths.params.read_bytes(), pipeline.read(root), runner, moves=moves, record=record)
    return Done(rows, _as_shown(texts, settings), _message(model, rows, marks))


def _digests(folder: Path, settings: ModelSettings, asked: Asked, known: Known) -> set[str]:
    """Digests of what a sheet names; what is in no shard too, which is not to come either."""
    found = {known.digest(forgotten.ITEM, item) for item in asked.items}
    found |= {known.digest(forgotten.ID, one) for one in asked.ids}
    if not (asked.places or asked.origins):
        return found
    seen: set[tuple[str, int]] = set()
    origins: set[str] = set()
    for part, own in _parts(folder, settings):
        origin = part[ORIGIN].to_pylist() if ORIGIN in part.column_names else [None] * len(part)
        columns = (part["shard"].to_pylist(), part["row"].to_pylist(), part[settings.modality].to_pylist(), own, origin)
        for shard, row, item, one, place in zip(*columns, strict=True):
            if (shard, row) in asked.places or place in asked.origins:
                seen.add((shard, row))
                origins.add(str(place))
                found.add(known.digest(forgotten.ID, one) if one else known.digest(forgotten.ITEM, item))
    away = [arrivals.key([place]) for place in sorted(asked.places - seen)] + sorted(asked.origins - origins)
    if away:
        raise MissingData(f"{folder} has no row {shown(away[0], 60)}: nothing was forgotten; correct the sheet")
    return found


def _marks(folder: Path, settings: ModelSettings, known: Known) -> tuple[Marks, list[str]]:
    """Which rows of which shards are forgotten, and what they hold, where that is text."""
    found: dict[str, list[bool]] = {}
    texts: dict[str, None] = {}
    for part, own in _parts(folder, settings):
        items = part[settings.modality].to_pylist()
        marks = [known.has(item, one) for item, one in zip(items, own, strict=True)]
        for shard, mark in zip(part["shard"].to_pylist(), marks, strict=True):
            found.setdefault(shard, []).append(mark)
        texts |= dict.fromkeys(item for item, mark in zip(items, marks, strict=True) if mark and isinstance(item, str))
    return {shard: np.array(marks, np.bool_) for shard, marks in found.items() if any(marks)}, list(texts)


def _as_shown(texts: list[str], settings: ModelSettings) -> list[str]:
    """The texts, each as it came and as it is cleaned: pages of later stages show that."""
    clean = modality.of(settings.modality).cleaner(settings.preprocess)(pa.array(texts, pa.string())) if texts else ()
    return list(dict.fromkeys(one for pair in zip(texts, map(str, clean), strict=True) for one in pair if one))


def _parts(folder: Path, settings: ModelSettings) -> Any:
    """The parts of all shards, each with the ids of its rows."""
    named = [ID] if ID in shards.kept(folder, settings.modality) else []
    for part in shards.parts(folder, settings.modality, named):
        yield part, part[OF_GROUP + ID].to_pylist() if named else [None] * len(part)


def _moves(folder: Path, staging: Path, marks: Marks, salt: str, digests: set[str]) -> list[tuple[Path, Path]]:
    """Write shards and records again in `staging`; return what goes out of the folder, and what comes in."""
    old, new = staging / "old", staging / "new"
    old.mkdir()
    new.mkdir()
    before = forgotten.read(folder)
    names = {shard: _without(folder / shard, mark, new) for shard, mark in marks.items()}
    replaced: list[str] = [*names]
    for path, one in zip(sorted(folder.glob(arrivals.RECORDS)), arrivals.read(folder), strict=True):
        if (after := _renamed(one, names, marks)) != one:
            replaced.append(path.name)
            number, digest = path.stem.split("-")[1], path.stem.rpartition("-")[2]
            write_facts(new / f"batch-{number}-{len(before)}-{digest}.json", asdict(after))
    gone = {name: checksum(folder / name) for name in replaced}
    rows = sum(int(one.sum()) for one in marks.values())
    forgotten.write(new, arrivals.following(folder), Forgotten(rows, salt, sorted(digests), gone))
    out = [(folder / name, old / name) for name in replaced]
    return out + [(path, folder / path.name) for path in sorted(new.iterdir())]


def _without(path: Path, gone: NDArray[np.bool_], new: Path) -> str | None:
    """Write a shard without some rows, a row group at a time; return its new name, None if no row is left."""
    if gone.all():
        return None
    draft, start = new / path.name, 0
    with pq.ParquetFile(path) as file:
        stored = dict(file.metadata.metadata or {})
        schema = file.schema_arrow.remove_metadata()
        arrow = stored.pop(b"ARROW:schema", None) is not None
        with pq.ParquetWriter(draft, schema, compression="zstd", store_schema=arrow) as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group).replace_schema_metadata(None)
                writer.write_table(table.filter(pa.array(~gone[start : start + len(table)])))
                start += len(table)
            writer.add_key_value_metadata(stored)
    stem = AGAIN.sub(r"\1", path.stem)
    name = f"{stem}-{checksum(draft)[:12]}.parquet"
    draft.rename(new / name)
    return name


def _renamed(one: Arrival, names: dict[str, str | None], marks: Marks) -> Arrival:
    """A record of shards by their new names, and of rows by their new places."""
    kept = [names.get(shard, shard) for shard in one.shards]
    return replace(
        one,
        shards=[name for name in kept if name],
        out=_moved(one.out, names, marks),
        kept=_moved(one.kept, names, marks),
    )


def _moved(places: arrivals.Places, names: dict[str, str | None], marks: Marks) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for shard, rows in places.items():
        if shard not in marks:
            found[shard] = list(rows)
        elif name := names[shard]:
            place = np.cumsum(~marks[shard]) - 1
            found[name] = [int(place[row]) for row in rows if not marks[shard][row]]
    return {shard: rows for shard, rows in found.items() if rows}


def _message(model: str, rows: int, marks: Marks) -> str:
    return (
        f"forgot {rows:,} {'row' if rows == 1 else 'rows'} of {model}, in {len(marks):,} "
        f"{'shard' if len(marks) == 1 else 'shards'} that are written again without them; what holds the same, or has "
        "their id, is not taken in again (ingest --again does)"
    )
