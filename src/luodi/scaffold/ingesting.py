"""Ingest new rows of a model that stands: shards of their own below data/, recorded for DVC; all of them or nothing.

A row that is there already is passed over, by whatever file it came: the same file again adds nothing.
"""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import chain, compress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from luodi import config
from luodi.checks import drift, joined_rows, modality, newest, quarantine
from luodi.checks.drift import Looked
from luodi.config import ModelSettings
from luodi.data import arrivals, columns, documents, forgotten, importing, pictures, revisions, shards, tables
from luodi.data.arrivals import Arrival
from luodi.data.columns import Wanted
from luodi.data.importing import Row
from luodi.data.labels import Labels
from luodi.data.revisions import ID, REVISION
from luodi.errors import BrokenData
from luodi.files import checksum
from luodi.project.paths import PARAMS, ModelPaths
from luodi.scaffold import admitting, changes, drifting, pipeline
from luodi.system.collector import uncollected
from luodi.system.processes import Runner
from luodi.terminal import shown

WHICH = {
    "drop": "no {} of two labels is used until one is corrected",
    "newest": "the label that came last counts",
    "vote": "the label of most rows counts (validate.contradictions)",
}
FEW = 5  # rows that are held back refuse no batch, however small it is
NAMED = 5  # labels that are named
LOOKED_AT = {"text": 100_000, "image": 10_000}  # rows of which all are compared with each other: seconds' work
DIGITS = 12  # of the checksum in the name of a shard
NO_ID = 0  # the hash of none
Hashes = NDArray[np.int64]


def ingest(
    root: Path,
    model: str,
    sources: Sequence[Path],
    runner: Runner,
    *,
    given: tables.Given = tables.PLAIN,
    wanted: Wanted = columns.NOTHING,
    labels: Labels | None = None,
    images: Path | None = None,
    corrects: bool = False,
    again: bool = False,
) -> str:
    """Add the rows of tables or folders that are not there yet to a model's data; return what was done, and what next.

    Args:
        given, wanted, labels, images: As of `luodi.scaffold.adding`; what the shards keep beside is wanted too.
        corrects: The labels of these rows are to count, whatever label what they hold had before.
        again: A batch that came before, and of which rows were corrected or forgotten since, is to count once more.

    Raises:
        UnknownKey: There is no such model.
        DataError: A source cannot be used, or data/ is not what data.dvc records.
        EmptyData: No source holds a row.
        BrokenData: Too many of the new rows would be held back.
    """
    params = config.load(root / PARAMS)
    settings = config.settings_of(params, model)
    paths, labels = ModelPaths(root, model), labels or Labels()
    with changes.exclusive(root) as staging:
        record = changes.require_data(root, model, runner)
        wanted = _as_stored(wanted, settings, shards.kept(paths.data, settings.modality))
        beside = [*wanted.stored]
        there = Known.of(paths.data, settings, beside, corrects=corrects)
        there.lost, there.again = forgotten.known(paths.data), again
        read = partial(_rows, given=given, wanted=wanted, labels=labels, images=images)
        rows, notes = read(settings, sources, staging / "unpacked")
        names = ", ".join(shown(source.name) for source in sources)
        (staging / "data").mkdir()
        with importing.Writer(staging / "data", settings.modality, beside, corrects=corrects) as writer:
            found = store(there.new(rows, names), writer)
        notes = [*notes, *labels.told(), *there.told(settings, corrects)]
        earlier = arrivals.of(paths.data, there.batch)
        if not found or (there.turning and earlier and not again):
            return "\n  ".join([_nothing(model, names, there, earlier if found else None), *notes])
        counted = Counted.of(staging / "data", settings)
        counted.require_fit(names, settings.validate_.max_quarantined_share)
        number = arrivals.following(paths.data)
        moves = named(found, paths.data, number)
        arrival = Arrival(there.batch, [source.name for source in sources], there.seen, counted.rows, counted.held,
                          dict(counted.reasons), dict(counted.labels), [move[1].name for move in moves])  # fmt: skip
        moves.append(arrivals.write(staging, paths.data, number, arrival))
        if there.lifted:
            lifted = forgotten.write(staging, number, there.lost.lift(there.lifted))
            moves.append((lifted, paths.data / lifted.name))
        drifted = drifting.look(settings, paths, staging / "data")
        changes.make(root, paths.params.read_bytes(), pipeline.read(root), runner, moves=moves, record=record)
    report = drifting.write(paths, there.batch, drifted, asdict(arrival), params.language)
    notes += [
        *counted.told(),
        *admitting.too_rare(there.labels + counted.labels, settings.labels, settings.validate_.min_class_share),
        *_tying(settings, paths, arrival.shards),
        *_drift(drifted),
        f"see {shown(report.relative_to(root))}",
    ]
    return _message(model, names, there, notes, counted)


@dataclass
class Known:
    """The rows that the data has, by 64-bit hashes of this process, each sorted.

    Attributes:
        rows: Of whole rows that are not taken in once more.
        labelled, items: Of what the rows that stand hold, with their labels and alone.
        ids: Of the ids of all rows.
        count: Of all rows.
        labels: How many rows that stand have each label.
        turning: Whether a row may come again that was corrected since: nothing but the order of arrival says which of
            two counts.
        by: The place of the id in what rows keep beside; None where they have none.
    """

    rows: Hashes
    labelled: Hashes
    items: Hashes
    ids: Hashes = field(default_factory=lambda: np.empty(0, np.int64))
    count: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    turning: bool = False
    by: int | None = None
    lost: forgotten.Known | None = None
    """Rows that were forgotten."""
    again: bool = False
    """Whether these are taken in again; else they stay out."""
    lifted: set[str] = field(default_factory=set)
    """Digests of those that were."""
    seen: int = 0
    """Rows that were asked for."""
    repeated: int = 0
    """Of these, those that are there, or came before."""
    stayed_out: int = 0
    """Of these, those that were forgotten."""
    relabelled: int = 0
    """Of these, those of which the item is there with another label alone."""
    revised: int = 0
    """Of these, new ones whose id is there."""
    _asked: Any = field(default_factory=partial(hashlib.blake2b, digest_size=8))

    @classmethod
    def of(cls, folder: Path, settings: ModelSettings, stored: Sequence[str], *, corrects: bool = False) -> "Known":
        """Read the shards of a folder, a part at a time."""
        found, kind, rule = list[Hashes](), settings.modality, settings.validate_.contradictions
        stands = revisions.standing(folder, kind, settings.labels, rule)
        out, gone, labels, start = arrivals.out(folder), [], Counter[str](), 0
        by = stored.index(ID) if ID in stored else None
        for part in shards.parts(folder, kind, stored):
            gone.append(revisions.marked(part, out))
            kept = [part[shards.OF_GROUP + name].to_pylist() for name in stored]
            rows = list(zip(*kept, strict=True)) if kept else [()] * len(part)
            given = part["label"].to_pylist()
            found.append(np.stack(_hashes(part[kind].to_pylist(), given, rows, by), 1))
            labels.update(filter(None, given if stands is None else compress(given, stands[start:])))
            start += len(part)
        columns = np.concatenate(found)
        turning = REVISION not in stored and (corrects or rule == "newest" or ID in stored)
        standing = columns if stands is None else columns[stands]
        known = columns[stands | np.concatenate(gone)] if turning and stands is not None else columns
        return cls(
            rows=np.unique(known[:, 0]),
            labelled=np.unique(standing[:, 1]),
            items=np.unique(standing[:, 2]),
            ids=np.unique(columns[:, 3]),
            count=len(columns),
            labels=labels,
            turning=turning,
            by=by,
        )

    @property
    def batch(self) -> str:
        """What names the rows that were asked for, in their order."""
        return str(self._asked.hexdigest())

    def new(self, rows: Iterator[Row], names: str) -> Iterator[Row]:
        """Yield those that are not there, each once; where rows turn, those that differ from what stands.

        Raises:
            EmptyData: There is no row in the files that have these names.
        """
        came, last = Came(), dict[int, int]()  # last: of what is corrected, what came last
        for batch in importing.batches(rows, names):
            yield from self._new(batch.rows, came, last)

    def _new(self, block: Sequence[Row], came: "Came", last: dict[int, int]) -> Iterator[Row]:
        self.seen += len(block)
        columns = list(zip(*block, strict=True))
        for piece in _content(columns[0], columns[1], columns[4]):
            self._asked.update(piece)
        whole, labelled, items, ids = _hashes(columns[0], columns[1], columns[4], self.by)
        there, before = _among(self.rows, whole), came.among(whole)
        revised = _among(self.ids, ids) & (ids != NO_ID)
        relabelled = _among(self.items, items) & ~_among(self.labelled, labelled) & ~revised
        if self.turning or (self.lost and self.lost.digests):
            taken = self._turned(block, (whole, labelled, items, ids), there, before, last)
        else:
            first = np.zeros(len(block), np.bool_)
            first[np.unique(whole, return_index=True)[1]] = True
            taken = first & ~there & ~before
            self.repeated += int((~taken).sum())
        came.add(whole[taken])
        self.revised += int((revised & taken).sum())
        self.relabelled += sum(row.label is not None for row in compress(block, relabelled & taken))
        yield from compress(block, taken)

    def _turned(
        self,
        block: Sequence[Row],
        hashes: tuple[Hashes, ...],
        there: NDArray[np.bool_],
        before: NDArray[np.bool_],
        last: dict[int, int],
    ) -> NDArray[np.bool_]:
        """Which rows are taken where they may come again that were corrected, or were forgotten: each by itself."""
        taken, now = np.zeros(len(block), np.bool_), set[int]()
        rows = zip(block, *(one.tolist() for one in (*hashes, there, before)), strict=True)
        for place, (row, one, label, item, own, is_there, came) in enumerate(rows):
            named = (
                self.lost.named(row.item, row.kept[self.by] if self.by is not None else None) if self.lost else set()
            )
            if named and not self.again:
                self.stayed_out += 1
                continue
            key, value = (item, label) if own == NO_ID else (own, one)
            again = came or one in now
            if (again and not (self.turning and last[key] != value)) or (is_there and key not in last):
                self.repeated += 1
                continue
            now.add(one)
            self.lifted |= named
            if self.turning:
                last[key] = value
            taken[place] = True
        return taken

    def told(self, settings: ModelSettings, corrects: bool) -> list[str]:
        """Return a line each on rows that are there, and on those that correct or contradict one."""
        found, kind = [], settings.modality
        if self.repeated:
            found.append(f"{_rows_are(self.repeated)} there already, or twice in what came")
        if self.stayed_out:
            found.append(f"{_rows_are(self.stayed_out)} of what was forgotten, and stay out: --again takes them in")
        if self.revised:
            which = "the last to come" if self.turning else "the latest revision"
            found.append(f"the id of {_rows_are(self.revised)} there: of each id {which} counts")
        if self.relabelled:
            rule = "newest" if corrects else settings.validate_.contradictions
            found.append(f"{_rows_are(self.relabelled)} there with another label: {WHICH[rule].format(kind)}")
        return found


@dataclass
class Counted:
    """What validation will say of new rows, row by row.

    Attributes:
        held: Rows that it holds back; `reasons` may be several of one row.
        unknown: Labels that the model does not have.
    """

    rows: int = 0
    held: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    known: Sequence[str] = ()
    """Labels that the model has."""

    @classmethod
    def of(cls, folder: Path, settings: ModelSettings) -> "Counted":
        """Measure the shards of a folder, a part at a time."""
        found, measures = cls(), modality.measures(settings.modality)
        for part in shards.larger(shards.parts(folder, settings.modality)):
            marks = measures.measure([part], settings).marks
            marks = marks.drop_columns([quarantine.contradiction(measures.ITEM)])  # only all rows together tell
            found.rows += part.num_rows
            found.held += pc.sum(quarantine.held(marks)).as_py()
            found.reasons.update({name: pc.sum(marks[name]).as_py() for name in marks.column_names})
            found.labels.update(label for label in part["label"].to_pylist() if label is not None)
        found.reasons = +found.reasons
        found.unknown = Counter({label: n for label, n in found.labels.items() if label not in settings.labels})
        found.known = settings.labels
        return found

    def require_fit(self, names: str, limit: float) -> None:
        """Raise BrokenData where more than `limit` of the rows, and more than a few, would be held back."""
        if self.held > max(FEW, limit * self.rows):
            raise BrokenData(
                f"{names}: {self.held:,} of {self.rows:,} new rows ({self.held / self.rows:.1%}) would be held back, "
                f"above {limit:.0%} (validate.max_quarantined_share): {self._why()}; nothing was added: correct them, "
                "give labels their names by --label-map, admit classes by `luodi labels admit`, or raise that limit"
            )

    def told(self) -> list[str]:
        """Return a line on the rows that will be held back, if any."""
        return [f"validation will hold back {self.held:,} of them: {self._why()}"] if self.held else []

    def _why(self) -> str:
        why = ", ".join(f"{reason} {count:,}" for reason, count in self.reasons.most_common())
        some = ", ".join(f"{self._named(label)} {count:,}" for label, count in self.unknown.most_common(NAMED))
        more = f", and {len(self.unknown) - NAMED:,} more" if len(self.unknown) > NAMED else ""
        return f"{why} ({some}{more})" if some else why

    def _named(self, label: str) -> str:
        """An unknown label, beside one that is spelt like it but for case and spaces."""
        like = next((one for one in self.known if one.casefold().split() == label.casefold().split()), None)
        return f"{shown(label, 40)}{f', as {shown(like, 40)} in other letters,' if like else ''}"


def _as_stored(wanted: Wanted, settings: ModelSettings, stored: Sequence[str]) -> Wanted:
    """Return the columns wanted, and all that the shards have beside: of their own names, unless others are given."""
    named, revised = (name if name in stored else None for name in (ID, REVISION))
    return replace(
        wanted,
        item=wanted.item or settings.column,
        id=named and (wanted.id or named),
        revision=revised and (wanted.revision or revised),
        keep=tuple(
            columns.given_as(name)
            for name in stored
            if name not in {"source", ID, REVISION, wanted.pattern and columns.NAME}
        ),
    )


def _rows(
    settings: ModelSettings,
    sources: Sequence[Path],
    room: Path,
    *,
    given: tables.Given,
    wanted: Wanted,
    labels: Labels,
    images: Path | None,
) -> tuple[Iterator[Row], list[str]]:
    """The rows of all sources, in order, and how they were read, to be told; archives are unpacked in `room`."""
    room.mkdir()
    read: dict[str, Read] = {"text": _texts, "image": partial(_images, images=images)}
    rooms = (Path(tempfile.mkdtemp(dir=room)) for _ in sources)
    found = [
        read[settings.modality](source, given, wanted, labels, own) for source, own in zip(sources, rooms, strict=True)
    ]
    return chain.from_iterable(rows for rows, _ in found), [note for _, notes in found for note in notes]


Read = Callable[[Path, tables.Given, Wanted, Labels, Path], tuple[Iterator[Row], list[str]]]


def _texts(
    source: Path, given: tables.Given, wanted: Wanted, labels: Labels, room: Path
) -> tuple[Iterator[Row], list[str]]:
    found = documents.opened(source, given, wanted, labels, room)
    return found.rows, found.notes


def _images(
    source: Path, given: tables.Given, wanted: Wanted, labels: Labels, room: Path, *, images: Path | None
) -> tuple[Iterator[Row], list[str]]:
    files, notes = pictures.pictures(source, images, room, given=given, wanted=wanted, labels=labels)
    return pictures.images(files), notes


def stored(settings: ModelSettings, folder: Path) -> list[str]:
    """Return the columns that shards keep beside, in the order in which they are written."""
    return [*_as_stored(columns.NOTHING, settings, shards.kept(folder, settings.modality)).stored]


def store(rows: Iterator[Row], writer: importing.Writer) -> list[Path]:
    """Write shards; return them, none where there is no row."""
    with uncollected():
        first = next(rows, None)
        for batch in importing.batches(chain([first], rows), "") if first is not None else ():
            writer.write(batch)
    return writer.paths


def named(found: Sequence[Path], folder: Path, number: int) -> list[tuple[Path, Path]]:
    """Return each shard with its place: numbered on from `number`, so that rows keep their order, and by its content.

    Two that were made of one state, in two checkouts, have two names, and unite.
    """
    return [
        (path, folder / f"part-{number + place:05}-{checksum(path)[:DIGITS]}.parquet")
        for place, path in enumerate(found)
    ]


def _tying(settings: ModelSettings, paths: ModelPaths, new: Sequence[str]) -> list[str]:
    """Return a line on rows of new shards that tie groups of different splits, which only all rows together tell."""
    if not joined_rows.asked(settings) or shards.rows(paths.data) > LOOKED_AT[settings.modality]:
        return []
    measures = modality.measures(settings.modality)
    parts = shards.parts(paths.data, settings.modality, settings.preprocess.split.columns)
    checked = newest.hold_back(measures.measure(parts, settings), settings)
    groups = joined_rows.groups_of(checked, settings, measures)
    if groups is None:
        return []
    table = joined_rows.hold_back(checked, groups).table
    apart = pc.sum(pc.and_(table[joined_rows.APART], pc.is_in(table["shard"], pa.array(new)))).as_py()
    return [f"{apart:,} of them tie rows of different splits: validation will hold those back too"] if apart else []


def _drift(found: Looked) -> list[str]:
    """Return a line on how far new rows are from those before; none where too few came to tell."""
    if not found.statistics:
        return []
    alarms = [one for one in found.statistics if one.verdict != drift.NONE]
    why = ", ".join(f"{one.name} {one.value:.2f} (at least {one.low:.2f}; {one.verdict})" for one in alarms)
    return [f"{found.verdict}: {why}" if alarms else "no drift is proven"]


def _nothing(model: str, names: str, there: Known, earlier: Arrival | None) -> str:
    if there.stayed_out:
        return f"nothing new in {names}: model {model} has or was to forget all of its {there.seen:,} rows"
    if earlier is None:
        return f"nothing new in {names}: {model} has all of its {there.seen:,} rows"
    return (
        f"nothing new in {names}: its {there.seen:,} rows came before, in this order, as "
        f"{', '.join(map(shown, earlier.files))}; what was corrected since stays so: --again has them count once more"
    )


def _message(model: str, names: str, there: Known, notes: Sequence[str], counted: Counted) -> str:
    counts = ", ".join(f"{shown(label, 40)} {count:,}" for label, count in counted.labels.most_common(8))
    return "\n".join(
        [
            f"ingested {names} into {model}: {counted.rows:,} of {there.seen:,} rows are new",
            *(f"  {note}" for note in notes),
            f"  {len(counted.labels)} classes: {counts}",
            f"  data/{model} has {there.count + counted.rows:,} rows, recorded in data.dvc",
            "next:",
            f"  git add data.dvc && git commit -m 'Ingest into {model}'",
            f"  luodi run {model}",
        ]
    )


def _rows_are(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"


def _hashes(
    items: Sequence[Any], labels: Sequence[str | None], kept: Sequence[Sequence[str | None]], by: int | None
) -> tuple[Hashes, Hashes, Hashes, Hashes]:
    """Of each row: of all, of item and label, of the item, and of its id; they differ from process to process.

    Args:
        kept: Of each row.
    """
    labelled = _hashed(zip(items, labels, strict=True))
    more = any(kept)  # a row that keeps nothing beside is its item and label
    whole = (
        _hashed((item, label, *own) for item, label, own in zip(items, labels, kept, strict=True)) if more else labelled
    )
    ids = np.zeros(len(items), np.int64) if by is None else _hashed(one[by] or NO_ID for one in kept)
    return whole, labelled, _hashed(items), ids


def _hashed(values: Iterable[Any]) -> Hashes:
    return np.fromiter(map(hash, values), np.int64)


def _content(
    items: Sequence[Any], labels: Sequence[str | None], kept: Sequence[Sequence[str | None]]
) -> Iterator[bytes]:
    """What rows hold, in bytes of no others."""
    sizes = [len(one) if isinstance(one, bytes) else one for one in items]
    told = [repr((size, label, *own)) for size, label, own in zip(sizes, labels, kept, strict=True)]
    if not any(isinstance(one, bytes) for one in items):
        yield "".join(told).encode("utf-8", "replace")
        return
    for one, item in zip(told, items, strict=True):
        yield one.encode("utf-8", "replace")
        yield item or b""


def _among(known: Hashes, hashes: Hashes) -> NDArray[np.bool_]:
    """Whether each is in `known`, which is sorted."""
    if not len(known):
        return np.zeros(len(hashes), np.bool_)
    place = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    found: NDArray[np.bool_] = known[place] == hashes
    return found


class Came:
    """Hashes of rows that came: sorted runs, each more than twice as long as the next, in 8 bytes a row."""

    def __init__(self) -> None:
        self._runs: list[Hashes] = []

    def among(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Whether each came."""
        found = np.zeros(len(hashes), np.bool_)
        for run in self._runs:
            found |= _among(run, hashes)
        return found

    def add(self, hashes: Hashes) -> None:
        """Take them in."""
        self._runs.append(np.sort(hashes))
        while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
            self._runs.append(np.sort(np.concatenate([self._runs.pop(), self._runs.pop()]), kind="stable"))
