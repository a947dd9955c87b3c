"""Which images are held back and why, which look alike, and what the suite makes of a batch."""

import io
from pathlib import Path
from typing import Any

import images
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from luodi import config
from luodi.checks import findings, profile, quarantine
from luodi.checks.findings import FAILED, PASSED, WARNED
from luodi.checks.image import measures, near_duplicates
from luodi.data import groups

LABELS = ("cat", "dog")
LIMITS = config.ImageValidate(
    min_rows=10,
    min_side=8,
    max_side=64,
    min_contrast=0.02,
    max_duplicate_share=0.2,
    max_near_duplicate_share=0.2,
    max_contradictions=1,
    min_class_share=0.2,
    min_intensity=0.3,
    max_intensity=0.7,
    max_quarantined_share=0.2,
)
ROOT = Path(__file__).parents[3]
MODEL: Any = config.settings_of(config.load(ROOT / "params.yaml"), "digits").model_copy(
    update={"labels": LABELS, "validate_": LIMITS}
)
SCHEMA = pa.schema(
    [("image", pa.binary())] + [(name, pa.string()) for name in ("label", "source", "shard")] + [("row", pa.int64())]
)
Pair = tuple[bytes | None, str | None]


def batch(*pairs: Pair, source: Any = "s") -> Any:
    records = [
        {"image": image, "label": label, "source": source, "shard": "a.parquet", "row": place}
        for place, (image, label) in enumerate(pairs)
    ]
    return pa.Table.from_pylist(records, schema=SCHEMA)


def good(count: int = 20) -> Any:
    return [(images.png(place), LABELS[place % 2]) for place in range(count)]


def check(*pairs: Pair, source: Any = "s") -> Any:
    return measures.measure([batch(*pairs, source=source)], MODEL)


@pytest.mark.parametrize(
    ("image", "label", "source", "reasons"),
    [
        (images.png(1), "cat", "s", []),
        (images.png(1, 8), "cat", "s", []),
        (images.png(1, 64), "cat", "s", []),
        (images.encoded(images.drawing(1), "JPEG"), "cat", "s", []),
        (images.encoded(images.colour(1)), "cat", "s", []),
        (images.encoded(images.colour(1).convert("RGBA")), "cat", "s", []),
        (images.encoded(images.colour(1).convert("P")), "cat", "s", []),
        (images.encoded(images.drawing(1).convert("1")), "cat", "s", []),
        (None, "cat", "s", ["image is missing"]),
        (b"", "cat", "s", ["image is missing"]),
        (b"GIF89a, says the text", "cat", "s", ["image cannot be decoded"]),
        (images.png(1)[:-30], "cat", "s", ["image cannot be decoded"]),
        (images.encoded(images.drawing(1), "JPEG")[:-60], "cat", "s", ["image cannot be decoded"]),
        *((images.encoded(images.drawing(1), kind), "cat", "s", []) for kind in ("GIF", "BMP", "TIFF", "WebP")),
        *(
            (images.encoded(images.drawing(1), kind)[:200], "cat", "s", ["image cannot be decoded"])
            for kind in ("GIF", "BMP", "TIFF", "WebP")
        ),
        (images.text_bomb(), "cat", "s", ["image cannot be decoded"]),
        (images.animated(), "cat", "s", ["image is animated"]),
        (images.deep(), "cat", "s", ["image has more than 8 bits per channel"]),
        (images.encoded(images.colour(1).convert("CMYK"), "JPEG"), "cat", "s", ["image is CMYK"]),
        (images.png(1, 7), "cat", "s", ["image is too small"]),
        (images.encoded(images.drawing(1).resize((40, 7))), "cat", "s", ["image is too small"]),
        (images.png(1, 65), "cat", "s", ["image is too large"]),
        (images.bomb(), "cat", "s", ["image is too large"]),
        (images.encoded(Image.new("L", (28, 28), 99)), "cat", "s", ["image is nearly constant"]),
        (images.png(1), None, "s", ["label is missing"]),
        (images.png(1), "Cat", "s", ["label is unknown"]),
        (images.png(1), "cat", None, ["source is missing"]),
        (
            images.encoded(Image.new("RGB", (3, 3), "red")),
            "?",
            None,
            ["image is too small", "image is nearly constant", "label is unknown", "source is missing"],
        ),
        (None, None, None, ["image is missing", "label is missing", "source is missing"]),
    ],
)
def test_row_is_held_back_with_all_its_reasons(image: Any, label: Any, source: Any, reasons: Any) -> None:
    table = batch((image, label), source=source)
    clean, held = quarantine.split(table, measures.measure([table], MODEL).marks, "image")
    assert clean.num_rows == (not reasons)
    assert [(row["image"], row["reasons"]) for row in held.to_pylist()] == ([(image, reasons)] if reasons else [])


def test_equal_pixels_are_equal_whatever_file_they_come_in() -> None:
    grey = images.drawing(1)
    files = [
        images.encoded(grey),
        images.encoded(grey, compress_level=0),
        images.encoded(grey.convert("RGB")),
        images.encoded(grey.convert("RGBA")),
        images.encoded(grey.convert("P")),
        images.encoded(grey.transpose(Image.Transpose.ROTATE_90)),
        images.encoded(images.colour(1)),
        None,
        None,
    ]
    measured = check(*[(file, "cat") for file in files]).table
    assert measured[quarantine.duplicate("image")].to_pylist() == [
        False,
        True,
        True,
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_size_counts_where_pixels_are_the_same_bytes() -> None:
    wide, high = (images.encoded(Image.new("L", size, 99)) for size in ((10, 20), (20, 10)))
    assert check((wide, "cat"), (high, "cat")).table[quarantine.duplicate("image")].to_pylist() == [False, False]


def test_contradiction_is_between_known_labels_of_equal_pixels() -> None:
    one, other = images.drawing(1), images.drawing(2)
    checked = check(
        (images.encoded(one), "cat"),
        (images.encoded(one.convert("RGB")), "dog"),
        (images.encoded(one), "bird"),
        (images.encoded(other), "cat"),
        (images.encoded(other), "bird"),
        (b"broken", "cat"),
        (b"broken", "dog"),
    )
    assert checked.marks[quarantine.contradiction("image")].to_pylist() == [
        True,
        True,
        False,
        False,
        False,
        False,
        False,
    ]


def test_measures() -> None:
    half = np.zeros((10, 20), np.uint8)
    half[:5] = 255
    checked = check((images.encoded(Image.fromarray(half)), "cat"), (b"ab", "dog"), (None, "dog"))
    measured = checked.table
    assert measured["width"].to_pylist() == [20, None, None]
    assert measured["height"].to_pylist() == [10, None, None]
    assert measured["intensity"].to_pylist() == [0.5, None, None]
    assert measured["contrast"].to_pylist() == [0.5, None, None]
    assert measured["appearance"].to_pylist() == ["20 x 10 grey PNG", "2 bytes", None]
    assert measures.facts(checked) == {"kinds": [("grey PNG", 1)], "size": {"width": 20, "height": 10}}


def test_transparent_pixels_count_as_white() -> None:
    clear = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    assert check((images.encoded(clear), "cat")).table["intensity"].to_pylist() == [1.0]


def test_parts_of_any_size_give_what_one_part_gives() -> None:
    table = batch(*good(9), *good(5), (b"broken", "cat"), (None, None))
    parts = [table.slice(start, 3) for start in range(0, table.num_rows, 3)]
    assert measures.measure(parts, MODEL).table.equals(measures.measure([table], MODEL).table)


def test_near_duplicates_leave_out_exact_ones_constant_ones_and_the_first() -> None:
    first = images.drawing(1)
    noisy = Image.fromarray(np.asarray(first) ^ 1)
    constant = [Image.new("L", (28, 28), level) for level in (10, 11)]
    files = [first, first, noisy, noisy, images.drawing(2), *constant]
    measured = check(*[(images.encoded(image), "cat") for image in files]).table
    assert measured[measures.EARLIER].to_pylist() == [None, None, 0, None, None, None, None]
    assert measured[measures.NEAR].to_pylist() == [False, False, True, False, False, False, False]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((56, 56), Image.Resampling.BICUBIC),
        lambda image: image.point(lambda level: level * 0.9 + 8),
        lambda image: image.point(lambda level: level // 4 * 4),
        lambda image: Image.fromarray(np.asarray(image) ^ np.random.default_rng(0).integers(0, 2, (28, 28), np.uint8)),
    ],
)
def test_a_small_change_keeps_the_hash_near(change: Any) -> None:
    originals = [images.drawing(seed) for seed in range(200)]
    distance = np.bitwise_count(hashes(originals) ^ hashes([change(image) for image in originals]))
    assert (distance <= near_duplicates.DISTANCE).mean() >= 0.9


def test_other_pictures_are_not_near() -> None:
    assert (near_duplicates.earlier(hashes([images.drawing(seed) for seed in range(1000)])) < 0).all()


def hashes(pictures: list[Image.Image]) -> Any:
    small = np.frombuffer(b"".join(map(near_duplicates.small, pictures)), np.uint8)
    return near_duplicates.hashes(small.reshape(-1, near_duplicates.SIDE, near_duplicates.SIDE))


bits = st.integers(0, 2**64 - 1)


@settings(max_examples=50)
@given(st.lists(bits, max_size=4), st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 63), max_size=5))))
def test_every_pair_within_the_distance_is_found_and_no_other(
    centres: list[int], changes: list[tuple[int, set[int]]]
) -> None:
    around = [centres[which % len(centres)] ^ sum(1 << bit for bit in flips) for which, flips in changes if centres]
    found = np.array(centres + around, np.uint64)
    answer = near_duplicates.earlier(found)
    for place, twin in enumerate(answer.tolist()):
        distances = np.bitwise_count(found[:place] ^ found[place])
        assert (twin >= 0) == bool((distances <= near_duplicates.DISTANCE).any())
        assert twin < place
        assert twin < 0 or distances[twin] <= near_duplicates.DISTANCE


def tied(found: Any) -> list[set[int]]:
    """The numbers that each picture has."""
    numbers: list[set[int]] = [set() for _ in found]
    for place, number in near_duplicates.links(found).tolist():
        numbers[place].add(number)
    return numbers


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), kept=st.integers(0, 60))
def test_what_a_picture_is_tied_to_depends_on_those_before_it_alone(seed: int, kept: int) -> None:
    """And it is a copy."""
    rng = np.random.default_rng(seed)
    levels = np.stack([np.asarray(images.drawing(one)) for one in rng.integers(0, 20, 60)])
    pictures = waves(levels ^ rng.integers(0, 4, (60, 1, 1), np.uint8))
    links, before = near_duplicates.links(pictures), near_duplicates.links(pictures[:kept])
    assert {*map(tuple, links[links[:, 0] < kept].tolist())} == {*map(tuple, before.tolist())}
    for row, number in links.tolist():
        assert number <= row
        assert near_duplicates._are_copies(pictures[[row]], pictures[[number]]).all()


def waves(levels: Any) -> Any:
    small = [near_duplicates.small(Image.fromarray(one)) for one in levels]
    return near_duplicates.waves(np.frombuffer(b"".join(small), np.uint8).reshape(-1, 32, 32))


@pytest.mark.slow
@pytest.mark.parametrize(("side", "contrast"), [(28, 1), (128, 1), (128, 1 / 16)])
def test_scaled_and_encoded_pictures_are_tied_and_others_are_not(side: int, contrast: float) -> None:
    originals = [images.drawing(seed, side).point(lambda level: 100 + (level - 100) * contrast) for seed in range(150)]
    sides = [round(side * scale) for scale in (0.6, 1.5)] + [side // 2] * (side > 28)
    changed = [image.resize((size, size), Image.Resampling.BICUBIC) for size in sides for image in originals]
    again = [Image.open(io.BytesIO(images.encoded(image, "JPEG", quality=60))) for image in [*originals, *changed]]
    pictures = [*originals, *changed, *again]
    small = np.frombuffer(b"".join(near_duplicates.small(one.convert("L")) for one in pictures), np.uint8)
    links = near_duplicates.links(near_duplicates.waves(small.reshape(-1, 32, 32)))
    home, allowed = np.zeros(len(pictures), np.int8), np.ones((len(pictures), 3), bool)
    assert groups.join([], links, home, allowed, home).first.tolist() == [*range(150)] * (len(pictures) // 150)


def test_pictures_of_one_kind_are_not_tied() -> None:
    """Written digits of 8 x 8 pixels: each is near to others by its hash, and next to none is a copy."""
    from sklearn.datasets import load_digits

    levels = (load_digits().images * 15).astype(np.uint8)
    links = near_duplicates.links(waves(levels))
    tied = np.unique(links[links[:, 0] != links[:, 1]])
    assert len(tied) < 0.005 * len(levels)


def test_many_pictures_that_are_nearly_one_take_no_square_of_time() -> None:
    crowd = np.random.default_rng(0).integers(-20, 20, (2**13, near_duplicates.WAVES)).astype(np.int16)
    crowd[:, 1] = near_duplicates.UNIT
    assert len(near_duplicates.links(crowd)) <= 2**13 * (1 + near_duplicates.ENOUGH)


@pytest.mark.slow
def test_many_hashes_that_share_most_bits_take_no_square_of_time() -> None:
    crowd = np.random.default_rng(0).permutation(2**17).astype(np.uint64) << np.uint64(3) ^ np.uint64(1 << 60)
    assert (near_duplicates.earlier(crowd) >= 0).mean() > 0.9


def judge(measured: Any, docs: Path) -> Any:
    """What is found; without Data Docs, at which tests/unit/checks/test_engine.py looks."""
    from great_expectations import ExpectationSuite  # here: it takes seconds, in each worker of pytest

    from luodi.checks import engine
    from luodi.checks.image import expectations

    result = engine._run(engine._context(docs), "m", measured, ExpectationSuite("m", expectations.build(MODEL)))
    return findings.read(result, measured, measures.SHOWN)


@pytest.mark.slow
def test_good_batch_passes(tmp_path: Path) -> None:
    found = judge(check(*good()).table, tmp_path)
    assert [finding.title for finding in found if not finding.passed] == []
    assert findings.verdict(found) == PASSED


def dark(place: int) -> Any:
    return images.encoded(images.drawing(place).point(lambda level: level // 8))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "verdict", "pairs"),
    [
        ("Enough rows", FAILED, good(8)),
        ("No image is missing", FAILED, [*good(), *[(None, "dog")] * 6]),
        ("No label is missing", FAILED, [*good(), *[(images.png(90 + n), None) for n in range(9)]]),
        ("Labels are known", WARNED, [*good(), (images.png(99), "Dog")]),
        ("Every label occurs", FAILED, [(image, "dog") for image, _ in good()]),
        ("Classes are balanced", FAILED, [(image, LABELS[place > 2]) for place, (image, _) in enumerate(good())]),
        ("Labels agree", WARNED, [*good(), *[(images.png(seed), label) for seed in (1, 2) for label in LABELS]]),
        ("Images can be decoded", WARNED, [*good(), (b"text", "dog")]),
        ("No image is animated", WARNED, [*good(), (images.animated(), "dog")]),
        ("Channels have 8 bits", WARNED, [*good(), (images.deep(), "dog")]),
        ("No image is CMYK", WARNED, [*good(), (images.encoded(images.colour(1).convert("CMYK"), "JPEG"), "dog")]),
        ("No image is too small", WARNED, [*good(), (images.png(99, 7), "dog")]),
        ("No image is too large", WARNED, [*good(), (images.png(99, 65), "dog")]),
        ("No image is nearly constant", WARNED, [*good(), (images.encoded(Image.new("L", (9, 9))), "dog")]),
        ("Intensity is in range", WARNED, [(dark(place), LABELS[place % 2]) for place in range(20)]),
        ("Few near duplicates", WARNED, [*good(), *[(images.png(place, 30), LABELS[place % 2]) for place in range(6)]]),
        ("Few duplicates", WARNED, [*good(), *good(6)]),
        ("Few rows are held back", FAILED, [*good(), *[(b"text", "dog")] * 6]),
    ],
)
def test_expectation_fails(title: str, verdict: str, pairs: list[Pair], tmp_path: Path) -> None:
    found = {finding.title: finding for finding in judge(check(*pairs).table, tmp_path)}
    assert found[title].verdict == verdict
    assert {name for name, one in found.items() if one.verdict == FAILED} <= {
        title, "Few rows are held back", "Classes are balanced", "Every label occurs"
    }  # fmt: skip


@pytest.mark.slow
def test_missing_source_is_a_warning(tmp_path: Path) -> None:
    found = {finding.title: finding for finding in judge(check(*good(), source=None).table, tmp_path)}
    assert found["No source is missing"].verdict == WARNED


def test_near_duplicate_is_shown_beside_the_earlier_row(tmp_path: Path) -> None:
    found = {one.title: one for one in judge(check(*good(), (images.png(3, 30), "dog")).table, tmp_path)}
    (example,) = found["Few near duplicates"].examples
    assert str(example) == "a.parquet row 20 [dog] 30 x 30 grey PNG"
    assert str(example.beside) == "a.parquet row 3 [dog] 28 x 28 grey PNG"
    assert found["Intensity is in range"].found.startswith("0.")


def test_batch_of_nothing_usable_is_judged_without_an_error(tmp_path: Path) -> None:
    found = judge(check(*[(None, None)] * 3, source=None).table, tmp_path)
    assert findings.verdict(found) == FAILED
    assert {one.title: one.found for one in found}["Intensity is in range"] == "nothing to measure"


def test_profile_shows_sides_only_where_they_vary() -> None:
    same = check(*good()).table
    assert [chart.column for chart in measures.charts(same)] == ["intensity", "contrast"]
    several = check(*good(), (images.encoded(images.drawing(1).resize((40, 28))), "cat"), (b"text", "cat"))
    mixed = several.table
    assert [chart.column for chart in measures.charts(mixed)] == ["intensity", "contrast", "width"]
    assert measures.facts(several)["size"] is None
    counted = profile.profile(mixed, measures.charts(mixed), LABELS)
    assert [sum(counts) for counts in counted.whole.counts] == [21, 21, 21]
    assert [chart.column for chart in measures.charts(check((None, None)).table)] == ["intensity", "contrast"]
