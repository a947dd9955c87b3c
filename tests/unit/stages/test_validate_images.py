"""The validate stage on images: what it writes, what the page shows, and that hostile files cost no memory."""

import base64
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import images
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from luodi import config
from luodi.checks import quarantine
from luodi.checks.quarantine import Checked
from luodi.errors import BrokenData, NothingLeft, ValidationFailed
from luodi.project.paths import ModelPaths
from luodi.stages import validate

ROOT = Path(__file__).parents[3]
DIGITS = config.settings_of(config.load(ROOT / "params.yaml"), "digits")
MODEL = DIGITS.model_copy(update={"validate_": DIGITS.validate_.model_copy(update={"min_rows": 10})})
EVIL = '<script>alert("x")</script>'
MEMORY = 600  # MiB that `luodi validate` may hold, whatever the number of rows: Great Expectations holds most of it
Row = tuple[bytes | None, str | None, str | None]

HOSTILE = {
    "bomb": (images.bomb(), "image is too large"),
    "text bomb": (images.text_bomb(), "image cannot be decoded"),
    "truncated": (images.png(1)[:-30], "image cannot be decoded"),
    "animated": (images.animated(), "image is animated"),
    "16-bit": (images.deep(), "image has more than 8 bits per channel"),
    "CMYK": (images.encoded(images.colour(1).convert("CMYK"), "JPEG"), "image is CMYK"),
    "half a GIF": (images.encoded(images.drawing(1), "GIF")[:900], "image cannot be decoded"),
    "text": (EVIL.encode(), "image cannot be decoded"),
    "empty": (b"", "image is missing"),
    "null": (None, "image is missing"),
}


def good(count: int = 1000) -> Any:
    return [(images.png(seed), str(seed % 10), "s") for seed in range(count)]


def settle(root: Path) -> None:
    """The settings of this repository, and the code that they are for."""
    for name in ("params.yaml", "params.lock", "luodi.lock"):
        shutil.copy(ROOT / name, root / name)


def lay(root: Path, *rows: Row) -> Any:
    """Write `rows` of image, label and source as the one shard of a model, beside the repository's params.yaml."""
    paths = ModelPaths(root, "digits")
    paths.data.mkdir(parents=True)
    pq.write_table(pa.table(dict(zip(("image", "label", "source"), map(list, zip(*rows, strict=True)), strict=True))),
                   paths.data / "a.parquet")  # fmt: skip
    settle(root)
    return paths


# VmHWM begins anew with the program; ru_maxrss would begin with the size of the process that starts it.
MEASURED = """
import atexit, re, sys
from pathlib import Path
from luodi.cli import main
peak = Path(sys.argv.pop(1))
atexit.register(lambda: peak.write_text(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
main()
"""


def luodi_validate(root: Path) -> tuple[int, str, float]:
    """Run `luodi validate digits` as a process of its own: exit code, what it printed, peak memory in MiB."""
    with (root / "log").open("w") as log:
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, root / "peak", "validate", "digits"], cwd=root, stdout=log, stderr=log,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, check=False,
        )  # fmt: skip
    waiting = "  still validate ("  # told each ten seconds, which a busy machine takes
    printed = [line for line in (root / "log").read_text().splitlines() if not line.startswith(waiting)]
    return done.returncode, "\n".join(printed), int((root / "peak").read_text()) / 1024


@pytest.mark.slow
def test_hostile_files_end_as_quarantine_reasons(tmp_path: Path) -> None:
    files = [(data, "3", name) for name, (data, _) in HOSTILE.items()]
    paths = lay(tmp_path, *good(), *files)
    code, output, peak = luodi_validate(tmp_path)
    said, *warnings = output.splitlines()
    assert (code, said) == (0, "digits: passed with warnings; 1,010 rows, 1,000 clean, 10 quarantined, 0 duplicates")
    assert "  warning: No image is CMYK: found 1 row (0.1%)" in warnings
    assert peak < MEMORY
    held = pq.read_table(paths.quarantine).to_pylist()
    assert {row["source"]: row["reasons"] for row in held} == {name: [why] for name, (_, why) in HOSTILE.items()}
    assert [row["image"] for row in held] == [data for data, _, _ in files]
    page = paths.validation_report.read_text(encoding="utf-8")
    assert page.count('aria-label="no picture"') >= len(HOSTILE)
    assert "<script>" not in page
    assert base64.b64encode(EVIL.encode()).decode()[:20] not in page


@pytest.mark.slow
def test_clean_rows_are_the_bytes_that_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [*good(), (images.encoded(images.colour(5), "JPEG"), "5", "jpeg")]
    paths = lay(tmp_path, *rows)
    validate.run(MODEL, paths)
    clean = pq.read_table(paths.clean)
    assert clean.column_names == ["image", "label", "source"]
    assert [tuple(row.values()) for row in clean.to_pylist()] == rows
    assert pq.read_table(paths.quarantine).num_rows == 0
    assert capsys.readouterr().out == "digits: passed; 1,001 rows, 1,001 clean, 0 quarantined, 0 duplicates\n"


@pytest.mark.slow
def test_many_parts_are_written_whole_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row for seed, row in enumerate(good(100)) for row in (row, (b"x", "1", str(seed)))]
    paths = lay(tmp_path, *rows)
    monkeypatch.setattr("luodi.data.shards.PART", 2048)
    with pytest.raises(ValidationFailed):
        validate.run(MODEL, paths)
    assert pq.ParquetFile(paths.clean).num_row_groups > 5
    assert pq.read_table(paths.clean)["image"].to_pylist() == [row[0] for row in rows[::2]]
    held = pq.read_table(paths.quarantine)
    assert held["source"].to_pylist() == [str(seed) for seed in range(100)]
    assert held["row"].to_pylist() == list(range(1, 200, 2))


@pytest.mark.slow
def test_thumbnails_are_pictures_few_and_small(tmp_path: Path) -> None:
    odd = [(images.encoded(images.colour(seed).resize((400, 300))), "nine", "large") for seed in range(80)]
    paths = lay(tmp_path, *good(200), *odd)
    with pytest.raises(ValidationFailed):
        validate.run(MODEL, paths)
    page = paths.validation_report.read_text(encoding="utf-8")
    shown = re.findall(r'src="([^"]*)"', page)
    assert 10 <= len(shown) <= 100
    for uri in shown:
        assert uri.startswith("data:image/png;base64,")
        picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
        assert max(picture.size) <= 48
    assert len(page) < 1_500_000
    assert ">10 of 80.<" in page


@pytest.mark.slow
def test_evil_names_are_text(tmp_path: Path) -> None:
    paths = lay(tmp_path, *good(100), (images.png(1), EVIL, EVIL))
    validate.run(MODEL, paths)
    page = paths.validation_report.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.slow
def test_nothing_left(tmp_path: Path) -> None:
    paths = lay(tmp_path, *[(b"text", "1", "s")] * 20)
    with pytest.raises(NothingLeft):
        validate.run(MODEL, paths)
    assert paths.validation_report.is_file()


def test_data_that_changes_meanwhile_is_an_error(tmp_path: Path) -> None:
    paths = lay(tmp_path, *good(20))
    parts = [pa.table({"image": [b""], "label": ["1"], "source": ["s"], "shard": ["a"], "row": [0]})]
    with pytest.raises(BrokenData, match="changed while it was read"):
        marks = pa.table({"image is missing": [True, False]})
        content = pa.chunked_array([], pa.string())
        checked = Checked(marks, tuple(marks.column_names), content, quarantine.codes(content))
        validate._separate(parts, checked, {}, paths, "image")
    assert not paths.clean.exists()


@pytest.mark.slow
def test_equal_data_gives_equal_bytes(tmp_path: Path) -> None:
    rows = [*good(200), (b"text", "1", "s"), (images.png(1, 30), "1", "s"), (images.png(1), "2", "t")]
    contents = []
    for name in ("here", "there"):
        paths = lay(tmp_path / name, *rows)
        validate.run(MODEL, paths)
        files = sorted(path for path in paths.artifacts.rglob("*") if path.is_file())
        contents.append({path.relative_to(paths.artifacts): path.read_bytes() for path in files})
    assert contents[0] == contents[1]


@pytest.mark.slow
@pytest.mark.parametrize("rows", [30_000, pytest.param(100_000, marks=pytest.mark.proof)])
def test_many_images_fit_in_memory(rows: int, tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    digits, rng = load_digits(), np.random.default_rng(0)
    bases = [np.asarray(Image.fromarray(np.uint8(image * 15)).resize((28, 28))) for image in digits.images]
    schema = pa.schema(
        [(name, kind) for name, kind in (("image", pa.binary()), ("label", pa.string()), ("source", pa.string()))]
    )
    paths = ModelPaths(tmp_path, "digits")
    paths.data.mkdir(parents=True)
    with pq.ParquetWriter(paths.data / "a.parquet", schema) as writer:
        for _ in range(10):
            chosen = rng.integers(0, len(bases), rows // 10).tolist()
            noise = rng.integers(0, 16, (len(chosen), 28, 28), np.uint8)
            files = [
                images.encoded(Image.fromarray(bases[one] + some)) for one, some in zip(chosen, noise, strict=True)
            ]
            labels = [str(digits.target[one]) for one in chosen]
            writer.write_table(pa.table([files, labels, ["noise"] * len(files)], schema=schema))
    settle(tmp_path)
    code, output, peak = luodi_validate(tmp_path)
    assert code == 0, output
    assert f"{rows:,} rows, {rows:,} clean" in output
    assert peak < MEMORY
