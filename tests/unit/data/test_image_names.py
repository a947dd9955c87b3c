"""Paths that say what belongs together, and counters, which do not."""

import re

import pytest

from luodi.data import image_names

WORDS = [f"{first}{second}" for first in ("pen", "cat", "map", "sun", "key") for second in ("", "al", "or", "is")]
ICONS = [f"{size}x{size}/{place}/{word}.png" for size in (16, 32, 48) for place in "ab" for word in WORDS]
SIZED = [f"{'ab'[len(word) % 2]}/{word}_{size}x{size}.png" for word in WORDS for size in (16, 32, 48)]
SCALED = [f"{place}/{word}{end}.png" for place in "ab" for word in WORDS for end in ("@1x", "@2x")]
SLICES = [f"{('ill', 'well')[one % 2]}/p{one:03}_slice{number:02}.jpg" for one in range(30) for number in range(8)]


def found(paths: list[str]) -> image_names.Families | None:
    return image_names.families(paths, [path.split("/")[-2] for path in paths])


@pytest.mark.parametrize(("paths", "name"), [(ICONS, "penal"), (SIZED, "penal"), (SCALED, "penal"), (SLICES, "p004")])
def test_one_thing_at_several_sizes_is_a_family(paths: list[str], name: str) -> None:
    one = found(paths)
    assert one is not None
    assert one.rows == len(paths)
    matched = [match[1] for path in paths if (match := re.search(one.pattern, path))]
    assert len(set(matched)) == (30 if paths is SLICES else 20)
    assert name in matched
    assert {matched[paths.index(path)] for path in one.example} == {matched[paths.index(one.example[0])]}


@pytest.mark.parametrize(
    "paths",
    [
        [f"{kind}/img_{number:04}.png" for kind in "ab" for number in range(500)],
        [f"{kind}/{number:04}.png" for kind in "ab" for number in range(500)],
        [f"{kind}/{kind}-{number}.png" for kind in ("cat", "dog", "cow") for number in range(400)],
        [f"{split}/{kind}/img{number}.png" for split in ("one", "two") for kind in "ab" for number in range(200)],
        [f"{kind}/IMG_202101{day:02}_{day * 977 + time * 71:06}.jpg" for kind in "ab" for day in range(1, 29)
         for time in range(7)],
        [f"{kind}/2021-{month:02}-{day:02}.jpg" for kind in "ab" for month in range(1, 13) for day in range(1, 29)],
        [f"a/{word}.png" for word in WORDS],
        ["a/one-1.png", "a/one-2.png", "b/two-1.png", "b/two-2.png"],
    ],
)  # fmt: skip
def test_counters_days_and_splits_are_none(paths: list[str]) -> None:
    assert found(paths) is None
