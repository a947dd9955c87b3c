"""What a person is told of data that become a model: what was seen, what is left out, and what they are refused for."""

from collections import Counter
from collections.abc import Iterable, Sequence

from luodi.checks import leaking_columns
from luodi.config import CLASSES, Gate
from luodi.data import image_names, statistics
from luodi.data.beside import Beside
from luodi.data.class_folders import Filed
from luodi.data.columns import APART, Wanted, stored_as
from luodi.errors import BrokenData
from luodi.project.paths import PARAMS
from luodi.scaffold import blocks
from luodi.scaffold.recipe import Recipe
from luodi.scaffold.splitting import Split
from luodi.terminal import shown

LABEL = 255  # characters, as params.yaml allows: what is longer is no label
CUT = 0.05  # texts longer than what is read, or with tags, of which nothing is said
NUMBERS = 20  # rows, or labels, of which nothing is said: too few to look like anything
RARE = 8  # classes of few rows that are named
REPEATED = 0.05  # of all rows; fewer are usual
UNCLEAR = 0.01  # of all rows; more are many of those that a model will meet, and is wrong in half of


def held_back(seen: statistics.Traits, split: Split) -> list[str]:
    """What a person is to know of rows that will not be trained on, a sentence for each kind."""
    repeated, several, rows_of_several = seen.repeats()
    found = []
    if seen.unlabelled:
        rows = "1 row lacks" if seen.unlabelled == 1 else f"{seen.unlabelled:,} rows lack"
        found.append(f"{rows} a label or what it is of: validation holds them back")
    if repeated > REPEATED:
        found.append(
            f"{repeated:.0%} of the rows repeat an earlier one: {split.learned.total():,} are left to learn from"
        )
    if several:
        what = "1 item carries" if several == 1 else f"{several:,} items carry"
        share = rows_of_several / max(seen.rows, 1)
        unlike = f", {share:.0%} of all: figures will be of the others alone" if share > UNCLEAR else ""
        found.append(f"{what} several labels: {rows_of_several:,} rows are left out{unlike}")
    return found


def rare(counts: Counter[str]) -> list[str]:
    """Return a sentence where a class has fewer rows than the gate asks for: until it has them nothing lands."""
    least = Gate.model_fields["min_class_rows"].default
    few = sorted((rows, label) for label, rows in counts.items() if rows < least)
    if not few:
        return []
    some = ", ".join(f"{shown(label, 40)} {rows}" for rows, label in few[:RARE]) + ", …" * (len(few) > RARE)
    have = "1 class has" if len(few) == 1 else f"{len(few):,} classes have"
    return [
        f"{have} fewer than {least} rows ({some}): nothing lands until there are more, they are joined with others or "
        "left out (--label-map), or gate.unproven lists them"
    ]


def unfit(found: Counter[str], rows: int, limit: float, *, sample: bool = False) -> list[str]:
    """Return a sentence where rows cannot be learned from as they are, by reason; validation holds them back.

    Args:
        rows: That were looked at, as a `sample` of all or all.
        limit: The share of all rows above which validation stops the run.
    """
    if not found:
        return []
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in found.most_common())
    share = found.total() / rows
    end = f", and stops the run above {limit:.0%} (validate.max_quarantined_share): correct them" * (share > limit)
    what = f"{found.total():,} of {rows:,} {'images looked at' if sample else 'rows'} ({share:.1%})"
    return [f"{what} are unfit ({reasons}): validation holds such back{end}"]


def tags(tagged: int, emptied: int, rows: int) -> list[str]:
    """Return a sentence where more than a few of the texts hold tags, or any holds nothing else."""
    if tagged <= CUT * rows and not emptied:
        return []
    nothing = f"; of {emptied:,} nothing is left" if emptied else ""
    return [f"{tagged:,} of {rows:,} texts hold tags, as <b> or <stdio.h>, which cleaning takes out{nothing}"]


def cut(seen: statistics.TextTraits, kept: int) -> list[str]:
    """Return a sentence where more than a few texts are longer than what is read of them."""
    if (longer := seen.longer(kept)) <= CUT:
        return []
    return [f"of {longer:.0%} of the texts no more is read than the first {kept:,} characters (preprocess.max_length)"]


def giving_away(beside: Beside) -> list[str]:
    """Return a sentence for each column of the table that tells the label alone: see `luodi.checks.leaking_columns`."""
    found = [leaking_columns.counted(name, pairs, rows) for name, pairs, rows in beside.counts()]
    return [f"{one.said}: no model sees it, but see that what it is of does not say it too"
            for one in found if one and one.alone]  # fmt: skip


def stored_apart(wanted: Wanted) -> list[str]:
    """Return a sentence for each column that is kept under another name, for luodi has one of its own."""
    return [f"`{name}` is stored as `{own}`, for luodi has a column {name} of its own"
            for own, name in wanted.stored.items() if own == APART + name]  # fmt: skip


def without_values(seen: statistics.Traits, wanted: Wanted) -> list[str]:
    """Return a sentence for each column of groups that no row has a value of, and for each value that may mean none."""
    groups = {place: shown(name, 60) for place, (own, name) in enumerate(wanted.stored.items())
              if name in wanted.groups and own == stored_as(name)}  # fmt: skip
    none = [(place, value, rows) for (place, value), rows in seen.none.most_common() if place in groups and rows > 1]
    return [
        *(f"no row has a value of `{name}`, so it keeps none together" for place, name in groups.items()
          if not seen.valued[place]),
        *(f"{rows:,} rows share `{groups[place]}` {shown(value)} and stand in one split: if that means none, leave it "
          "empty and add them again" for place, value, rows in none),
    ]  # fmt: skip


def belonging(files: Sequence[Filed], split: Split, wanted: Wanted) -> list[str]:
    """Return a sentence where images belong together by their paths, and nothing says that they do."""
    found = image_names.families([one.origin for one in files], [one.label for one in files])
    if found is None or wanted.together or split.tests_given:
        return []
    one, other = (shown(path, 60) for path in found.example)
    return [
        f"{found.rows:,} of {len(files):,} images share {found.names:,} names, as {one} and {other} do: if such show "
        f"one thing, write `pattern: '{found.pattern}'` into preprocess.split of the block before the first run (or "
        "add them with --group-pattern), else the model is judged by what it was trained on"
    ]


def require_labels(seen: statistics.Traits, where: str, remedy: str) -> None:
    """Raise BrokenData where the labels are not those of classes."""
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


def message(
    name: str, seen: statistics.Traits, advice: Recipe, split: Split, *, shards: int, what: str, notes: Iterable[str]
) -> str:
    """What was added, what of it is known, and the commands that come next."""
    counts = ", ".join(f"{shown(label, 40)} {count:,}" for label, count in seen.counts.most_common(8))
    more = f", and {len(seen.counts) - 8} more" if len(seen.counts) > 8 else ""
    why = "".join(f"  {reason}\n" for reason in blocks.gate(advice, split)[1])
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
