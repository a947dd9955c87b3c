"""Add a model to the checkout: its shards, its block in params.yaml and the DVC pointer; all of it or nothing."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from luodi import config
from luodi.config import encoders, user_code
from luodi.config.encoders import ImageEncoder, TextEncoder
from luodi.data import columns, documents, importing, pictures, statistics, tables
from luodi.data.columns import Wanted
from luodi.data.labels import Labels, doubts
from luodi.errors import DataError, WrongValue
from luodi.project.paths import PARAMS, ModelPaths
from luodi.scaffold import appending, blocks, changes, pipeline, recipe, splitting, telling
from luodi.system.processes import Runner
from luodi.terminal import shown

SAMPLE = 2000  # images looked at for the limits


def add_texts(
    root: Path,
    name: str,
    source: Path,
    runner: Runner,
    *,
    given: tables.Given = tables.PLAIN,
    wanted: Wanted = columns.NOTHING,
    labels: Labels | None = None,
    encoder: str | None = None,
) -> str:
    """Add a text model from a table, a folder or an archive; return what was done and what comes next.

    Args:
        given: How the table is to be read, where its content does not tell.
        wanted: Its columns, where their names do not tell.
        labels: Reads its labels.
        encoder: A pretrained one of the project that is to be tried.

    Raises:
        DataError: The texts cannot be used.
        ParamsError: The name is taken or no name, or params.yaml cannot be extended.
    """
    labels = labels or Labels()
    with _adding(root, name) as staging:
        recorded = encoders.of(root, encoder, TextEncoder) if encoder else None
        (room := staging / "unpacked").mkdir()
        found, seen = documents.opened(source, given, wanted, labels, room), statistics.TextTraits()
        shards = _store(found.rows, staging, "text", source, kept=list(wanted.stored), seen=seen)
        notes = [*found.notes, *labels.told(), *doubts(seen.counts), *telling.rare(seen.counts)]
        telling.require_labels(seen, f"{shown(source)}, {found.label}", found.renamed)
        split = splitting.of(seen, source, wanted.together)
        chinese = seen.chinese / max(seen.letters, 1)
        times = max(seen.counts.values()) / min(seen.counts.values())
        advice = recipe.text(split.learned.total(), len(seen.counts), chinese, times=times,
                             encoder=encoder, recorded=recorded, typical=seen.length(0.5))  # fmt: skip
        notes += [*split.told, *telling.without_values(seen, wanted), *telling.held_back(seen, split)]
        notes += _corrected(staging / "data", "text", wanted)
        notes += [*telling.giving_away(labels.beside), *telling.stored_apart(wanted)]
        column = columns.unusual(found.item)
        limits = blocks.text_limits(seen)
        notes += telling.cut(seen, limits["preprocess"]["max_length"])
        block = blocks.build("text", seen, limits, advice, split, column)
        amiss, tagged, emptied = _read(staging / "data")
        notes += [*telling.unfit(amiss, seen.rows, blocks.limit(seen)), *telling.tags(tagged, emptied, seen.rows)]
        _commit(root, name, block, staging, runner)
    return telling.message(name, seen, advice, split, shards=shards, what=found.said, notes=[*notes, advice.said])


def add_images(
    root: Path,
    name: str,
    source: Path,
    runner: Runner,
    *,
    given: tables.Given = tables.PLAIN,
    wanted: Wanted = columns.NOTHING,
    labels: Labels | None = None,
    images: Path | None = None,
    encoder: str | None = None,
) -> str:
    """Add an image model from a folder, an archive or a table of paths; return what was done and what comes next.

    Args:
        given, wanted, labels: Of a table, as for texts.
        images: The folder or archive that the paths in a table start from; None is the folder that it lies in.
        encoder: A pretrained one of the project that is to be tried.

    Raises:
        DataError: The images cannot be used.
        ParamsError: The name is taken or no name, or params.yaml cannot be extended.
    """
    labels = labels or Labels()
    with _adding(root, name) as staging:
        recorded = encoders.of(root, encoder, ImageEncoder) if encoder else None
        (room := staging / "unpacked").mkdir()
        files, notes = pictures.pictures(source, images, room, given=given, wanted=wanted, labels=labels)
        sample = pictures.images(files[:: math.ceil(len(files) / SAMPLE)])
        look = statistics.look((row.item for row in sample if row.item), str(source))
        seen = statistics.Traits()
        shards = _store(pictures.images(files), staging, "image", source, kept=list(wanted.stored), seen=seen)
        notes += [*labels.told(), *doubts(seen.counts), *telling.rare(seen.counts)]
        telling.require_labels(seen, f"{source}, folders", "make a folder for each class")
        limits, split = blocks.image_limits(look), splitting.of(seen, source, wanted.together)
        height, width = (limits["preprocess"][side] for side in ("height", "width"))
        advice = recipe.image(split.learned.total(), height, width)
        if encoder and recorded:
            advice = recipe.of_stem(encoder, recorded, *map(int, look.median))
            limits["preprocess"] = advice.settings["preprocess"]
        notes += [*split.told, *telling.without_values(seen, wanted), *telling.held_back(seen, split)]
        notes += _corrected(staging / "data", "image", wanted)
        notes += [*telling.giving_away(labels.beside), *telling.stored_apart(wanted)]
        notes += telling.belonging(files, split, wanted)
        block = blocks.build("image", seen, limits, advice, split, columns.unusual(wanted.item, columns.IMAGE))
        notes += telling.unfit(look.unfit, look.looked, blocks.limit(seen), sample=True)
        _commit(root, name, block, staging, runner)
    size = "{height} x {width} x {channels}".format_map(limits["preprocess"])
    what = f"images, brought to {size} (height, width, channels)"
    return telling.message(name, seen, advice, split, shards=shards, what=what, notes=[*notes, advice.said])


def _store(
    rows: Iterator[importing.Row],
    staging: Path,
    modality: str,
    source: Path,
    *,
    kept: list[str],
    seen: statistics.Traits,
) -> int:
    """Write the shards into `staging`/data and measure what goes by; return their number."""
    folder = staging / "data"
    folder.mkdir()
    with importing.Writer(folder, modality, kept) as writer:
        for batch in importing.batches(rows, str(source)):
            writer.write(batch)
            seen.add(batch)
    return len(writer.paths)


def _read(folder: Path) -> tuple[Counter[str], int, int]:
    """Count the texts stored in a folder that are not read as they are.

    Returns:
        By their first reason, those that validation will hold back whatever its limits; those with tags, which cleaning
        takes out; those of which nothing is left then.
    """
    import pyarrow.compute as pc

    from luodi.checks.text import measures
    from luodi.data import shards, text

    found, tagged, emptied = Counter[str](), 0, 0
    for part in shards.parts(folder, "text"):
        column = part[measures.ITEM]
        told = pc.is_null(column)
        for reason, mark in measures.unfit(column).items():
            found[reason] += pc.sum(pc.and_not(mark, told)).as_py() or 0
            told = pc.or_kleene(told, mark)
        few = column.filter(pc.and_not(pc.match_substring(column, "<"), told))
        few = few.filter(pc.match_substring_regex(few, text.TAG)).combine_chunks()
        tagged += len(few)
        emptied += text.clean(few).to_pylist().count("")
    return +found, tagged, emptied


def _corrected(folder: Path, modality: str, wanted: Wanted) -> list[str]:
    """Tell of rows that others of the same id take the place of, if any do."""
    from luodi.data import revisions

    stands = revisions.standing(folder, modality, (), "drop") if wanted.id else None
    if stands is None:
        return []
    which = f"the latest `{shown(wanted.revision, 60)}`" if wanted.revision else "the last of them"
    return [
        f"{(~stands).sum():,} of {len(stands):,} rows have the id of another (`{shown(wanted.id or '', 60)}`): of each "
        f"id {which} counts; where that is not meant, leave --id-column out"
    ]


@contextmanager
def _adding(root: Path, name: str) -> Iterator[Path]:
    """Check that `name` can be added, then yield an empty folder to prepare it in, removed after."""
    config.require_name(name)
    paths = ModelPaths(root, name)
    with changes.exclusive(root) as staging:
        if name in config.load(paths.params).models:
            raise WrongValue(f"{PARAMS} has a model {name} already: choose another name, or add shards to {paths.data}")
        if paths.data.exists():
            raise DataError(f"{paths.data} exists, though {PARAMS} has no model {name}: move it away, and add again")
        changes.require_data(root)
        yield staging


def _commit(root: Path, name: str, block: dict[str, Any], staging: Path, runner: Runner) -> None:
    """Put everything in its place, or nothing."""
    paths = ModelPaths(root, name)
    params = appending.extended(paths.params, name, block, staging)
    models = config.load(staging / PARAMS).models
    code = {file for block in models.values() for file in user_code.files(block, root)}
    graph = pipeline.updated(pipeline.read(root), models, sorted(code), pipeline.asked(models.values()))
    changes.make(root, params, graph, runner, moves=[(staging / "data", paths.data)])
