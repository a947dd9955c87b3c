"""Images whose paths look as if they belonged together: one thing at several sizes, several views of one patient."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

NUMBERED = r"([^/]+)[-_@. ][A-Za-z]*[0-9]+(?:x[0-9]+)?(?:px|x)?\.\w+$"
"""edit-16.png and edit_32x32.png, p003_slice12.png"""
REPEATED = r"([^/]+)\.\w+$"
"""16x16/edit.png and 32x32/edit.png"""
FAMILIES = 10  # of several images, and three of each class: fewer are parts of the data, as `train` is in train_001.png
LARGEST = 0.1  # of all images, of one family
MOST = 0.5  # of all images, at least so many belong to families


@dataclass(frozen=True)
class Families:
    """What a pattern finds: `rows` images that share `names` names, two of one of them as `example`."""

    pattern: str
    rows: int
    names: int
    example: tuple[str, str]


def families(paths: Sequence[str], labels: Sequence[str | None]) -> Families | None:
    """Return what belongs together by its paths, within each class; None where they are no strong sign of any.

    A counter is no sign: its numbers are met once, or its name is that of a class, a split or a camera.
    """
    return next((found for pattern in (NUMBERED, REPEATED) if (found := _found(pattern, paths, labels))), None)


def _found(pattern: str, paths: Sequence[str], labels: Sequence[str | None]) -> Families | None:
    matches = [re.search(pattern, path) for path in paths]
    names = [match[1] if match else None for match in matches]
    keys = [(label, name) for label, name in zip(labels, names, strict=True)]
    sizes = Counter(key for key in keys if key[1])
    several = {key: size for key, size in sizes.items() if size > 1}
    rests = {path[: match.start(1)].rpartition("/")[0] + path[match.end(1) :]
             for path, match in zip(paths, matches, strict=True) if match}  # fmt: skip
    strong = (
        len(several) >= max(FAMILIES, 3 * len(set(labels)))
        and sum(several.values()) >= MOST * len(paths)
        and max(several.values()) <= LARGEST * len(paths)
        and len(rests) <= len(paths) / 2
        and _told_by_letters(pattern, {name for _, name in several if name})
    )
    if not strong:
        return None
    first = next(key for key in keys if key in several)
    one, other, *_ = (path for path, key in zip(paths, keys, strict=True) if key == first)
    return Families(pattern, sum(several.values()), len(several), (one, other))


def _told_by_letters(pattern: str, names: set[str]) -> bool:
    """Whether names differ by more than a number: folders that each count from 1 repeat all names."""
    letters = {re.sub(r"[\d\W_]", "", name) for name in names}
    return len(letters) >= FAMILIES if pattern == REPEATED else letters != {""}
