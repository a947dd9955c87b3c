"""Add a model to the checkout: its shards, its block in params.yaml and the DVC pointer; all of it or nothing."""

import codecs
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from luodi import config, yaml12
from luodi.config import CLASSES, MODALITIES, ImageValidate, TextPreprocess, TextValidate
from luodi.data import columns, importing, pictures, statistics, tables
from luodi.data.columns import Wanted
from luodi.data.labels import Labels, doubts
from luodi.errors import BrokenData, DataError, ParamsError, WrongValue
from luodi.project.paths import PARAMS, ModelPaths
from luodi.scaffold import changes, deciding, pipeline, recipe, splitting
from luodi.scaffold.recipe import Recipe
from luodi.scaffold.splitting import Split
from luodi.system.processes import Runner
from luodi.terminal import shown, visible

LABEL = 255  # characters, as params.yaml allows: what is longer is no label
SAMPLE = 2000  # images looked at for the limits
LONGEST_SIDE = 64  # pixels that a network is given of a large image: two cores train on it in minutes
EMPTY = re.compile(r"^models:[ \t]*\{[ \t]*\}(?=[ \t]*(#.*)?$)", re.MULTILINE)
"""Of a project that has no model yet."""

Settings = dict[str, Any]


def add_texts(
    root: Path,
    name: str,
    source: Path,
    runner: Runner,
    *,
    given: tables.Given = tables.PLAIN,
    wanted: Wanted = columns.NOTHING,
    labels: Labels | None = None,
) -> str:
    """Add a text model from a table; return what was done and what comes next.

    Args:
        given: How the table is to be read, where its content does not tell.
        wanted: Its columns, where their names do not tell.
        labels: Reads its labels.

    Raises:
        DataError: The table cannot be used.
        ParamsError: The name is taken or no name, or params.yaml cannot be extended.
    """
    labels = labels or Labels()
    with _adding(root, name) as staging:
        found = {part: tables.look(path, given) for part, path in importing.parts(source).items()}
        chosen = [columns.choose_columns(table, wanted) for table in found.values()]
        seen = statistics.TextTraits()
        rows = chain.from_iterable(
            importing.texts(table, of_table, labels, part)
            for (part, table), of_table in zip(found.items(), chosen, strict=True)
        )
        shards = _store(rows, staging, "text", source, kept=list(wanted.stored), seen=seen)
        where = f"{shown(source)}, column `{shown(chosen[0].label, 60)}`"
        notes = [f"read {shown(table.path.name)} as {table.said}" for table in found.values()]
        notes += [*labels.told(), *doubts(seen.counts)]
        _require_labels(seen, where, "name another with --label-column")
        split = splitting.of(seen, source)
        chinese = seen.chinese / max(seen.letters, 1)
        times = max(seen.counts.values()) / min(seen.counts.values())
        advice = recipe.text(split.learned.total(), len(seen.counts), chinese, times=times)
        notes += [*split.told, *_held_back(seen, split)]
        _commit(root, name, _block("text", seen, _text_limits(seen), advice, split), staging, runner)
    what = f"texts of column `{shown(chosen[0].item, 60)}`, labels of column `{shown(chosen[0].label, 60)}`"
    return _message(name, seen, advice, split, shards=shards, what=what, notes=[*notes, advice.said])


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
) -> str:
    """Add an image model from a folder, an archive or a table of paths; return what was done and what comes next.

    Args:
        given, wanted, labels: Of a table, as for texts.
        images: The folder or archive that the paths in a table start from; None is the folder that it lies in.

    Raises:
        DataError: The images cannot be used.
        ParamsError: The name is taken or no name, or params.yaml cannot be extended.
    """
    labels = labels or Labels()
    with _adding(root, name) as staging:
        (room := staging / "unpacked").mkdir()
        files, notes = pictures.pictures(source, images, room, given=given, wanted=wanted, labels=labels)
        look = statistics.look(
            row.item for row in pictures.images(files[:: math.ceil(len(files) / SAMPLE)]) if row.item
        )
        if look is None:
            raise BrokenData(f"{source}: no image looked at can be decoded: expected image files; convert them")
        seen = statistics.Traits()
        shards = _store(pictures.images(files), staging, "image", source, kept=list(wanted.stored), seen=seen)
        notes += [*labels.told(), *doubts(seen.counts)]
        _require_labels(seen, f"{source}, folders", "make a folder for each class")
        limits, split = _image_limits(look), splitting.of(seen, source)
        advice = recipe.image(split.learned.total())
        notes += [*split.told, *_held_back(seen, split)]
        _commit(root, name, _block("image", seen, limits, advice, split), staging, runner)
    size = "{height} x {width} x {channels}".format_map(limits["preprocess"])
    what = f"images, brought to {size} (height, width, channels)"
    return _message(name, seen, advice, split, shards=shards, what=what, notes=[*notes, advice.said])


HELD = TextValidate().max_quarantined_share


def _held_back(seen: statistics.Traits, split: Split) -> list[str]:
    """What a person is to know of rows that will not be trained on, a sentence for each kind."""
    repeated, contradicting = seen.repeats()
    found = []
    if seen.unlabelled:
        found.append(f"{seen.unlabelled:,} rows lack a label or what it is of: validation holds them back")
    if repeated > REPEATED:
        found.append(
            f"{repeated:.0%} of the rows repeat an earlier one: {split.learned.total():,} are left to learn from"
        )
    if contradicting:
        found.append(f"{contradicting:,} of these carry several labels, and will be left out")
    return found


NUMBERS = 20  # rows, or labels, of which nothing is said: too few to look like anything
REPEATED = 0.05  # of all rows; fewer are usual


def _block(
    modality: str, seen: statistics.Traits, limits: Mapping[str, Settings], advice: Recipe, split: Split
) -> Settings:
    """The block of a model in params.yaml: its labels, and what the data gives where no default has it."""
    repeated, contradicting = seen.repeats()
    of_any: dict[str, Settings] = {
        "validate": {
            "min_rows": max(1, split.learned.total() // 2),
            "max_duplicate_share": _up(min(1, 1.5 * repeated + 0.05)),
            "max_contradictions": 2 * contradicting + 10,
            "min_class_share": _down(min(seen.class_shares) / 2),
            "max_quarantined_share": max(HELD, _up(min(1, 1.5 * seen.unlabelled / seen.rows))),
        },
        "preprocess": split.settings,
        "gate": _gate(advice, split)[0],
    }
    block: Settings = {"modality": modality, "labels": seen.labels}
    bare = {"modality": modality, "labels": ("a", "b")}
    defaults = MODALITIES[modality].model_validate(bare).model_dump(by_alias=True)
    for stage in ("validate", "preprocess", "train", "gate"):
        values = {**of_any.get(stage, {}), **limits.get(stage, {}), **advice.settings.get(stage, {})}
        if differing := {key: value for key, value in values.items() if value != defaults[stage][key]}:
            block[stage] = differing
    return block


def _gate(advice: Recipe, split: Split) -> tuple[dict[str, Any], list[str]]:
    """Block gate, and why, a sentence for each choice."""
    linear = advice.settings["train"].get("architecture") == "linear"
    return deciding.settings(split.learned, split.tests, linear=linear)


def _text_limits(seen: statistics.TextTraits) -> dict[str, Settings]:
    longest = seen.length(0.999)
    chinese = seen.chinese / max(seen.letters, 1)
    return {
        "validate": {
            "min_length": 1,
            "max_length": max(TextValidate().max_length, 2 * longest),
            "min_chinese_share": _down(chinese / 2),
        },
        "preprocess": {"max_length": min(TextPreprocess().max_length, max(16, longest))},
    }


def _image_limits(look: statistics.Look) -> dict[str, Settings]:
    smallest, largest = int(look.sides.min()), int(look.sides.max())
    height, width = look.median
    scale = min(1, LONGEST_SIDE / max(height, width))
    return {
        "validate": {
            "min_side": max(1, smallest // 2),
            "max_side": max(ImageValidate().max_side, 2 * largest),
            "min_intensity": _down(look.intensity / 2),
            "max_intensity": _up((1 + look.intensity) / 2),
        },
        "preprocess": {
            "height": max(8, round(scale * height)),
            "width": max(8, round(scale * width)),
            "channels": 3 if look.coloured > 0.01 else 1,
        },
    }


def _down(share: float) -> float:
    return math.floor(1000 * share) / 1000


def _up(share: float) -> float:
    return min(1.0, math.ceil(1000 * share) / 1000)


def _require_labels(seen: statistics.Traits, where: str, remedy: str) -> None:
    found = seen.labels
    if not 2 <= len(found) <= CLASSES:
        some = ", ".join(shown(label, 40) for label in found[:5]) or "none"
        raise BrokenData(f"{where}: expected 2 to {CLASSES:,} labels, found {len(found):,} ({some}); {remedy}")
    if len(found) > max(NUMBERS, seen.rows / 2):
        some = ", ".join(shown(label, 40) for label in found[:5])
        raise BrokenData(
            f"{where}: expected classes, found {len(found):,} labels on {seen.rows:,} rows ({some}), as a number or an "
            f"id has; {remedy}"
        )
    if seen.rows > NUMBERS and seen.repeats()[1] == seen.distinct:
        raise BrokenData(f"{where}: each of the {seen.distinct:,} distinct rows carries several labels; {remedy}")
    if len(longest := max(found, key=len)) > LABEL:
        raise BrokenData(
            f"{where}: expected labels of at most {LABEL} characters, found one of {len(longest):,} "
            f"({shown(longest, 60)}); {remedy}"
        )


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
    return writer.shards


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


def _commit(root: Path, name: str, block: Settings, staging: Path, runner: Runner) -> None:
    """Put everything in its place, or nothing."""
    paths = ModelPaths(root, name)
    params = _extended(paths.params, name, block, staging)
    graph = pipeline.updated(pipeline.read(root), config.load(staging / PARAMS).models)
    changes.make(root, params, graph, runner, move=(staging / "data", paths.data))


def _extended(path: Path, name: str, block: Settings, staging: Path) -> bytes:
    """Return the bytes of params.yaml with the block behind them, proven to add this model and change no other.

    Raises:
        ParamsError: The file is not laid out so that a block can be appended.
    """
    before = path.read_bytes()
    text = EMPTY.sub("models:", before.decode("utf-8-sig"))
    after = text + "\n" * (not text.endswith("\n")) + "\n" + _render(name, block, _indent(text))
    draft = staging / PARAMS
    draft.write_bytes(before[: len(before) - len(before.removeprefix(codecs.BOM_UTF8))] + after.encode())
    expected = config.load(path).models | config.parse({"models": {name: block}}, PARAMS).models
    try:
        same = config.load(draft).models == expected
    except ParamsError:
        same = False
    if not same:
        raise ParamsError(
            f"no block can be appended to {path}: expected a mapping `models:` in block style at its end; write it so"
        )
    return draft.read_bytes()


def _indent(text: str) -> int:
    """Spaces in front of the names of models."""
    first = next(iter(yaml12.parse(text)["models"] or ()), None)
    return yaml12.find(text, ["models", first])[1] - 1 if first else 2


def _render(name: str, block: Settings, indent: int) -> str:
    """The block as YAML, a line a setting; every text in quotes, so that no reader takes it for something else."""
    text = visible(pipeline.dump({name: _quoted(block)}), keep="\n")
    return "".join(" " * indent * (line != "\n") + line for line in text.splitlines(keepends=True))


def _quoted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _quoted(one) if key != "modality" else one for key, one in value.items()}
    if isinstance(value, list):
        flow = CommentedSeq(map(_quoted, value))
        flow.fa.set_flow_style()
        return flow
    return DoubleQuotedScalarString(value) if isinstance(value, str) else value


def _message(
    name: str, seen: statistics.Traits, advice: Recipe, split: Split, *, shards: int, what: str, notes: Iterable[str]
) -> str:
    counts = ", ".join(f"{shown(label, 40)} {count:,}" for label, count in seen.counts.most_common(8))
    more = f", and {len(seen.counts) - 8} more" if len(seen.counts) > 8 else ""
    why = "".join(f"  {reason}\n" for reason in _gate(advice, split)[1])
    return (
        f"added {name}: {seen.rows:,} rows, {what}\n"
        + "".join(f"  {note}\n" for note in notes)
        + f"  {len(seen.counts)} classes: {counts}{more}\n"
        f"  data/{name}: {shards} shard(s), recorded in data.dvc\n"
        f"  {PARAMS}: block {name}, with limits from the data; `luodi params {name}` prints all settings in effect\n"
        f"{why}"
        "next:\n"
        f"  git add . && git commit -m 'Add {name}'\n"
        f"  luodi run {name}"
    )
