"""Bring champion and challenger before the gate: the same code, the same test rows, on which neither was trained."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi import config
from luodi.config import user_code
from luodi.data import arrivals, forgotten, modality, revisions, shards, split_rows, splits
from luodi.data.split_rows import Rows
from luodi.errors import ArtifactError, RegistryError, RemoteError
from luodi.files import read_facts
from luodi.project import commits, graph, locks, programs, workspace
from luodi.project.origin import Origin
from luodi.project.paths import ModelPaths
from luodi.project.workspace import Workspace
from luodi.registry import (
    changed_answers,
    changes,
    doubts,
    evidence,
    gate,
    last_judged,
    looks,
    pushing,
    selection_bias,
    tags,
)
from luodi.registry.records import Change, Comparison, Decision, Doubts, Turned, Verdict, lands
from luodi.registry.tags import Version
from luodi.report.formatting import at
from luodi.scoring import choice, figures, folds, inference, sample
from luodi.scoring.inference import Classifier
from luodi.scoring.scored import Scored, load_scores, scored
from luodi.system.processes import CommandFailed, Runner
from luodi.terminal import shown

REPEATS = 200
GEOMETRY = ("height", "width", "channels")
SPLIT = ("seed", "shares", "split", "test_source", "validation_source", *GEOMETRY)
"""Settings of preprocess that decide which rows a model was trained on."""


def decide(
    origin: Origin, commit: str, model: str, entries: locks.Entries, runner: Runner, *, counted: bool = True
) -> Decision:
    """Judge the model whose stages left `entries` at `commit` against the version in production.

    It is a look at the test rows, and spends of the error budget unless it is not `counted`; what is held then for good
    is not judged again by the next run, see `luodi.registry.last_judged`.

    Returns:
        The decision of `luodi.registry.gate.judge`, or the verdict "unchanged" if the two are one.

    Raises:
        ArtifactError: The entries are not those of a whole run, or the files of the challenger are not theirs.
        RegistryError: The files of the champion are not those that were registered.
        RemoteError: The git origin or the DVC remote cannot be used.
        PushRejected: The git origin does not take the look.
        UserCodeFailed: The metric of the gate is a user's own, and fails.
    """
    with workspace.clone(origin, commit, runner) as clone, user_code.importable(clone.root):
        block = config.settings_of(config.load(ModelPaths(clone.root, model).params), model)
        require_whole(clone, block, model, entries)
        locks.write(clone.lock, locks.merge(locks.read(clone.lock), model, entries))
        decision = _judge(clone, block, model, counted)  # it brings the rows that the doubts are of
        told = {"approval": block.register_.approval, "dry": not counted, "doubts": _doubts(clone, block, model)}
        decision = decision.model_copy(update=told)
        if counted and not lands(decision.verdict, block.register_.approval):
            refs = last_judged.refs(clone, model, decision)
            pushing.until_first(origin, lambda: not refs or pushing.push(clone, refs) or None)
        return decision


def require_whole(clone: Workspace, block: config.ModelSettings, model: str, entries: locks.Entries) -> None:
    """Raise ArtifactError unless `entries` hold every stage of the model."""
    stages = graph.stages(clone.root / "dvc.yaml", model, block.modality)
    if missing := [stage for stage in stages if f"{stage}@{model}" not in entries]:
        raise ArtifactError(f"dvc.lock has no entry of {model} for {', '.join(missing)}: run `dvc repro` first")


def _judge(clone: Workspace, block: config.ModelSettings, model: str, counted: bool) -> Decision:
    paths = ModelPaths(clone.root, model)
    clone.pull(
        *(
            str(path.relative_to(clone.root))
            for path in (paths.export, paths.metrics, paths.rows, paths.validation_summary)
        )
    )
    export = tags.export_hash(locks.read(clone.lock), model)
    challenger = Classifier.load(paths.export)
    test = split_rows.read(paths.rows, block.modality, "test", len(block.labels))
    measured = read_facts(paths.metrics)
    latency_ms = round(inference.latency(challenger, inference.typical(test.items), REPEATS), 3)
    mirror = tags.mirror(clone.origin, clone.runner)
    known = tags.versions(mirror, model)
    current = tags.in_production(known)
    if same := tags.same(known, export):
        return _known(same, current, block.gate, measured, latency_ms)
    name, comparison = current.name if current else None, None
    notes: list[str] = []
    if current and current.export is None:
        notes = [f"{name} cannot be compared: it was tagged by hand, and its tag does not say which files it is"]
    elif current:
        try:
            comparison, notes = _compare(clone, block, challenger, test, current, counted)
        except ArtifactError as error:
            notes = [f"{name} cannot be compared: this code cannot read it as it was registered ({error})"]
    if comparison and comparison.look:
        people = looks.approved(known, block.gate, comparison.look.period)
        comparison = comparison.model_copy(update={"look": comparison.look.model_copy(update={"approved": people})})
    decision = gate.judge(measured, latency_ms, block.gate, name, comparison, notes=notes)
    if comparison is None and at(measured, "choice", "chosen") != choice.LINEAR:
        decision = decision.model_copy(update={"turned": _beside_baseline(clone, paths, block, challenger, test)})
    return decision.model_copy(update={"changes": _changes(clone, block, mirror, current)}) if current else decision


def _beside_baseline(
    clone: Workspace, paths: ModelPaths, block: config.ModelSettings, challenger: Classifier, test: Rows
) -> tuple[Turned, ...]:
    """The rows that the challenger or the linear baseline alone gets right."""
    clone.pull(str(paths.baseline_scores.relative_to(clone.root)))
    scores = challenger.probabilities(test.items), load_scores(paths.baseline_scores)
    mine, theirs = (scored(test.label, one, "model", len(block.labels), test.group) for one in scores)
    return changed_answers.of(mine, theirs, block.labels, split_rows.positions(paths.rows, "test"))


def _doubts(clone: Workspace, block: config.ModelSettings, model: str) -> Doubts | None:
    """The rows whose label others contradict; None where the graph, an older one, does not keep the scores for it."""
    paths = ModelPaths(clone.root, model)
    scores = paths.baseline_validation, paths.baseline_scores, paths.baseline_out_of_fold
    names = [str(path.relative_to(clone.root)) for path in scores]
    if not {*names} <= {*locks.outputs(locks.read(clone.lock), f"baseline@{model}")}:
        return None
    below = paths.data.relative_to(clone.root)
    try:
        recorded = clone.recorded(str(below))
    except RemoteError:  # this remote has models alone: what a person said of the rows is not known then
        recorded = {}
    clone.pull(*names, *(str(below / name) for name in recorded if Path(name).match(arrivals.RECORDS)))
    clone.pull(*(str(below / shard) for shard in arrivals.kept(paths.data)))  # a person looked at rows of these alone
    return doubted(paths, block)


def doubted(paths: ModelPaths, block: config.ModelSettings) -> Doubts:
    """Return the rows whose label others contradict, of those that the baseline had not been fitted on when it scored.

    These are validation and test rows, and all where classes of few test rows had it score the others out of fold;
    without those that a person found right, of shards that are here.
    """
    place, _, found = folds.read(paths.baseline_out_of_fold, len(block.labels))
    if not len(place):
        place, found = split_rows.positions(paths.rows, "validation"), load_scores(paths.baseline_validation)
    place = np.concatenate([place, split_rows.positions(paths.rows, "test")])
    found = np.concatenate([found, load_scores(paths.baseline_scores)])
    # Neither by pa.array nor by read_table: they import pandas.
    places = pa.Array.from_buffers(pa.int64(), len(place), [None, pa.py_buffer(place)])
    rows = pq.ParquetFile(paths.rows).read(columns=["label", block.modality]).take(places)
    known = folds.knowing(*split_rows.standing(paths.rows))[place]  # of another class each row would be in doubt
    open_ = known & ~_found_right(paths, block, rows[block.modality].combine_chunks())
    label = np.array(rows["label"].to_pylist(), np.int32)
    return doubts.of(label[open_], found[open_], place[open_], block.labels)


def _found_right(paths: ModelPaths, block: config.ModelSettings, rows: pa.Array) -> NDArray[np.bool_]:
    """Which of these clean rows a person found right, bool [n]."""
    if not (right := arrivals.kept(paths.data)):
        return np.zeros(len(rows), bool)
    clean, seed = modality.of(block.modality).cleaner(block.preprocess), block.preprocess.seed
    known = [
        splits.digests(
            clean(part.filter(pa.array(revisions.marked(part, right)))[block.modality].combine_chunks()), seed
        )
        for part in shards.parts(paths.data, block.modality)
    ]
    return np.isin(splits.digests(rows, seed), np.concatenate(known))


def _changes(clone: Workspace, block: config.ModelSettings, mirror: Path, current: Version) -> tuple[Change, ...]:
    """What differs from the version in production; of one whose lock cannot be read, what its tag says."""
    model, before = current.model, dict[str, Any]()
    with contextlib.suppress(ArtifactError, CommandFailed):
        git = partial(programs.git, clone.origin, clone.runner, mirror)
        before = locks.of_model(commits.entries(git, current.commit), model)
    ours, rows = locks.of_model(locks.read(clone.lock), model), ModelPaths(clone.root, model).validation_summary
    settings = block.model_dump(mode="json", by_alias=True)
    return changes.since(current.facts, before, settings, ours, read_facts(rows))


def _known(
    same: Version, current: Version | None, rule: config.Gate, measured: dict[str, Any], latency_ms: float
) -> Decision:
    """What was registered before is not judged again: a version that a person took out does not come back by itself."""
    back = f"this model is {same.name}, which is not in production: `luodi promote {same.name}` puts it there"
    return Decision(
        verdict=Verdict.UNCHANGED if same is current else Verdict.HOLD,
        reasons=() if same is current else (back,),
        champion=current.name if current else None,
        rule=rule.model_dump(mode="json"),
        checks=(),
        comparison=None,
        metrics=measured,
        latency_ms=latency_ms,
    )


def _compare(  # noqa: PLR0917, each is another thing
    clone: Workspace, block: config.ModelSettings, challenger: Classifier, test: Rows, current: Version, counted: bool
) -> tuple[Comparison | None, list[str]]:
    """Score both on the test rows that the champion was not trained on; None, and why, if that cannot be done."""
    with _opened(clone, current) as (theirs, whole):
        kept = ModelPaths(theirs.root, current.model)
        ours, other = locks.read(clone.lock), locks.read(theirs.lock)
        changed = _changed(ours, other, current.model)
        notes = [f"{name} of preprocess differs from that of {current.name}" for name in changed]
        if locks.code(ours, f"preprocess@{current.model}") != locks.code(other, f"preprocess@{current.model}"):
            told = "which rows it was trained on was told by cleaning them again"
            notes.append(f"the code of preprocess is not that of {current.name}: {told}")
        old = Classifier.load(kept.export)
        try:
            # What changed may be the encoder in this code: it would be judged by what it was never trained to see.
            sample.check(kept.sample, old, current.name)
        except RegistryError as error:
            return None, [*notes, f"{current.name} cannot be compared: {error}"]
        if set(changed) & set(GEOMETRY):
            why = "its images have another size, so that rows cannot be told to be those it was trained on"
            return None, [*notes, f"{current.name} cannot be compared: {why}"]
        fresh, since, newest = np.ones(len(test), bool), None, None
        if whole:
            fresh = unseen(test, kept, block, len(old.labels))
            since = unseen(test, kept, block, len(old.labels), ("test", splits.NEWEST))[fresh]
            newest = _newest(ModelPaths(clone.root, current.model), kept, block, old.labels)
        elif changed:
            return None, [*notes, f"{current.name} cannot be compared: the rows it was trained on were purged"]
        else:  # of a group whose first row was forgotten, it may know some: that favours it alone
            notes.append(f"the rows of {current.name} were purged: what rows hold tells which are no train rows of it")
    if not fresh.any():
        return None, [*notes, f"{current.name} cannot be compared: it was trained on every test row"]
    places = np.flatnonzero(fresh)
    rows, both_know = test.some(places), np.array([label in old.labels for label in block.labels])
    known = both_know[rows.label]
    if not known.all():
        notes.append(_of_new_classes(challenger, rows.some(np.flatnonzero(~known)), block, current))
        rows, places = rows.some(np.flatnonzero(known)), places[known]
        since = None if since is None else since[known]
    if not len(rows):
        return None, [*notes, f"{current.name} cannot be compared: it knows the class of no test row"]
    mine, scores = _scored(challenger, old, rows, block, current)
    slices = {name: figures.quartiles(found) for name, found in modality.of(block.modality).slices(rows.items).items()}
    slices["source"] = figures.largest(rows.source)
    if set(old.labels) != set(block.labels):
        notes.append(f"{current.name} knows other labels: {', '.join(old.labels)}")
    if rows.group is not None:
        notes.append(
            f"{len(rows):,} test rows are of {len(np.unique(rows.group)):,} groups: rows of a group may be right or "
            "wrong together, and the intervals allow for it"
        )
    excluded = int((~fresh).sum())
    look = looks.take(clone, current.model, _judged(ours, current, block.gate), block.gate, counted=counted)
    found = evidence.compare(mine, scores, block.labels, slices, block.gate, notes, excluded, look=look, since=since)
    stands = split_rows.positions(ModelPaths(clone.root, current.model).rows, "test")[places]
    found = found.model_copy(update={"turned": changed_answers.of(mine, scores, block.labels, stands)})
    if newest:
        both = _scored(challenger, old, newest, block, current)
        everything = np.ones(len(newest), bool)
        found = found.model_copy(update={"newest": evidence.apart(*both, everything, block.gate)})
    return found.model_copy(
        update={"honest": selection_bias.honest(found, block.gate, at(current.facts, "decision"))}
    ), notes


def _scored(
    challenger: Classifier, old: Classifier, rows: Rows, block: config.ModelSettings, current: Version
) -> tuple[Scored, Scored]:
    """The rows as challenger and champion score them."""
    given = aligned(old.probabilities(rows.items), old.labels, block.labels)
    mine = scored(rows.label, challenger.probabilities(rows.items), "challenger", len(block.labels), rows.group)
    return mine, scored(rows.label, given, current.name, len(block.labels), rows.group)


@contextlib.contextmanager
def _opened(clone: Workspace, current: Version) -> Iterator[tuple[Workspace, bool]]:
    """Open what the champion is compared by; its rows are among it unless `luodi data forget --purge` removed them."""
    opened, whole = partial(tags.opened, clone.origin, current, clone.runner), True
    with contextlib.ExitStack() as stack:
        try:
            theirs = stack.enter_context(opened("export", "rows", "sample"))
        except RemoteError:
            if not _forgot(clone, current.model):
                raise
            theirs, whole = stack.enter_context(opened("export", "sample")), False
        yield theirs, whole


def _forgot(clone: Workspace, model: str) -> bool:
    """Whether rows of a model were forgotten; no where that cannot be told."""
    try:
        return any(name.startswith(forgotten.PREFIX) for name in clone.recorded(f"data/{model}"))
    except (RemoteError, CommandFailed):
        return False


def _of_new_classes(challenger: Classifier, rows: Rows, block: config.ModelSettings, current: Version) -> str:
    """What is said of rows of classes that the champion does not know: neither model is judged by them here.

    The champion gets them all wrong, and they would hide what the challenger has lost of the others. What the
    challenger answers of those is told by the rows that both know, a new class too, and that is wrong there.
    """
    found = challenger.probabilities(rows.items).argmax(1)
    names = [
        f"{shown(block.labels[place], 40)} ({int((found[of] == place).sum()):,} of {int(of.sum()):,} right)"
        for place in np.unique(rows.label)
        for of in [rows.label == place]
    ]
    return f"not in the comparison, for {current.name} does not know them: rows of {', '.join(names)}"


def _newest(ours: ModelPaths, kept: ModelPaths, block: config.ModelSettings, known: Sequence[str]) -> Rows | None:
    """The newest rows that the champion was not trained on, which it was if `preprocess.split.newest` was set since.

    Of classes that it knows alone, as the others that both are compared on.
    """
    if not len(split_rows.positions(ours.rows, splits.NEWEST)):
        return None
    rows = split_rows.read(ours.rows, block.modality, splits.NEWEST, len(block.labels))
    theirs = np.array([label in known for label in block.labels])[rows.label]
    new = np.flatnonzero(unseen(rows, kept, block, len(known)) & theirs)
    return rows.some(new) if len(new) else None


def _judged(entries: locks.Entries, current: Version, rule: config.Gate) -> dict[str, Any]:
    """What tells a judgement from any other: who is compared, on which rows, by what."""
    rows = ModelPaths(Path(), current.model).rows.as_posix()
    return {
        "challenger": tags.export_hash(entries, current.model),
        "champion": current.name,
        "rows": locks.outputs(entries, f"preprocess@{current.model}")[rows],
        "metric": rule.metric,
        "margin": rule.margin,
    }


def unseen(
    test: Rows,
    paths: ModelPaths,
    block: config.ModelSettings,
    classes: int,
    of: Sequence[str] = ("train", "validation"),
) -> NDArray[np.bool_]:
    """Tell of each test row whether no row of that content is in the splits `of` `paths`, bool [n].

    The rows of `paths` are cleaned as rows are now: another code may have cleaned them.
    """
    there = [split for split in of if split != splits.NEWEST or len(split_rows.positions(paths.rows, split))]
    seen = [item for split in there for item in split_rows.read(paths.rows, block.modality, split, classes).items]
    kind = modality.of(block.modality)
    again = set(kind.cleaner(block.preprocess)(kind.column(seen)).to_pylist())
    return np.array([item not in again for item in test.items], bool)


def aligned(scores: NDArray[np.float32], theirs: tuple[str, ...], ours: tuple[str, ...]) -> NDArray[np.float32]:
    """Bring probabilities [n, theirs] into the columns of `ours`: [n, ours], rows sum to 1.

    A label that only they know is dropped, one that only we know gets 0, and the rest is scaled; a row of which
    nothing is left is spread evenly.
    """
    result = np.zeros((len(scores), len(ours)), np.float32)
    for column, label in enumerate(theirs):
        if label in ours:
            result[:, ours.index(label)] = scores[:, column]
    total = result.sum(1, keepdims=True)
    even: NDArray[np.float32] = np.where(total > 0, result / np.where(total > 0, total, 1), np.float32(1 / len(ours)))
    return even


def _changed(ours: locks.Entries, theirs: locks.Entries, model: str) -> list[str]:
    """Names of the settings that decide the splits, where two locks differ."""

    stage = f"preprocess@{model}"
    mine, other = (locks.params(entries, stage)[f"models.{model}.preprocess"] for entries in (ours, theirs))
    return [name for name in SPLIT if _in_effect(mine.get(name)) != _in_effect(other.get(name))]


def _in_effect(value: Any) -> Any:
    """A block without what is off: a lock of before there was such a block says the same."""
    return (
        {key: one for key, one in value.items() if one not in (None, [], "none")}
        if isinstance(value, dict)
        else value or {}
    )
