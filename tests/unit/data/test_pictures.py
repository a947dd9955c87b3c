"""Folders of images with what else lies in them."""

from pathlib import Path
from typing import Any

import images
import pytest

from luodi.data import image_files, pictures, tables
from luodi.data.columns import NOTHING, Wanted
from luodi.data.labels import Labels
from luodi.errors import DataError, MissingData

PETS = {f"{label}/{number}.png": images.png(number) for label in ("cat", "dog") for number in range(2)}

FILES = "file(s) that are no image of a class"


def brought(root: Path, files: Any, labels: Any = None) -> Any:
    (root / "room").mkdir()
    given: dict[str, Any] = {"given": tables.PLAIN, "wanted": NOTHING, "labels": labels or Labels()}
    found, told = pictures.pictures(images.folder(root, files), None, root / "room", **given)
    return [(one.origin, one.label, one.source) for one in found], told


def plain(under: str = "", source: str = "in") -> list[tuple[str, str, str]]:
    return [(under + name, name.split("/")[0], source) for name in PETS]


@pytest.mark.parametrize(
    ("strays", "said"),
    [
        ({".DS_Store": b"", "cat/Thumbs.db": b"", "dog/desktop.ini": b"", "@eaDir/x": b"", "cat/.x": b""}, None),
        ({"README.txt": b"read"}, f"1 {FILES} (README.txt)"),
        ({"cat/labels.txt": b"x", "dog/sub/x.svg": b"x"}, f"2 {FILES} (cat/labels.txt, dog/sub/x.svg)"),
        ({f"cat/{n}.x": b"x" for n in range(9)}, f"9 {FILES} (cat/0.x, cat/1.x, cat/2.x, cat/3.x, cat/4.x, …)"),
        ({"overview.png": images.png(9)}, f"1 {FILES} (overview.png)"),
        ({"classes.json": b'["cat", "dog"]'}, f"1 {FILES} (classes.json)"),
        ({"birds/.keep": b""}, "1 folder(s) without an image (birds)"),
        ({"notes/a.txt": b"x"}, f"1 {FILES} (notes/a.txt), 1 folder(s) without an image (notes)"),
    ],
)  # fmt: skip
def test_what_is_no_image_of_a_class_is_passed_over_and_told(tmp_path: Path, strays: Any, said: Any) -> None:
    found, told = brought(tmp_path, PETS | strays)
    assert found == plain()
    assert (told == []) if said is None else (len(told) == 1 and told[0].startswith(f"passed over: {said}"))


@pytest.mark.parametrize("strays", [{"README.txt": b"x"}, {"train/README.txt": b"x"}, {"docs/a.md": b"x"}])
def test_strays_beside_splits_do_not_make_classes_of_them(tmp_path: Path, strays: Any) -> None:
    files = {f"{part}/{name}": one for part in ("train", "dev", "test") for name, one in PETS.items()}
    found, told = brought(tmp_path, files | strays)
    assert {(label, source) for _, label, source in found} == {
        (label, part) for label in ("cat", "dog") for part in ("train", "val", "test")
    }
    assert told[0].startswith("passed over: 1 f")


def test_a_folder_around_all_may_have_a_readme_beside_it(tmp_path: Path) -> None:
    assert brought(tmp_path, {"README.md": b"x"} | {f"pets/{name}": one for name, one in PETS.items()})[0] == plain()


@pytest.mark.parametrize("files", [{"a.png": images.png(1)}, {"cat/a.txt": b"x", "dog/b.txt": b"x"}, {"README": b""}])
def test_where_nothing_is_left_it_is_refused(tmp_path: Path, files: Any) -> None:
    with pytest.raises(MissingData, match="holds no folder with an image: expected one of images for each class"):
        brought(tmp_path, files)


def test_folders_are_read_as_labels_are(tmp_path: Path) -> None:
    files = {"1/a.png": images.png(1), "1.0/b.png": images.png(2), "NA/c.png": images.png(3), "2/d.png": images.png(4)}
    labels = Labels({"NA": None, "2": "two"})
    found, _ = brought(tmp_path, files, labels)
    assert [label for _, label, _ in found] == ["1", "1", "two", None]
    assert labels.told() == [
        "labels read as others: '1.0' as 1 (1)", "labels that --label-map does not name stay as they are: 1",
    ]  # fmt: skip


def test_a_listing_that_is_broken_is_told_where_there_are_no_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no image gone\.png"):
        brought(tmp_path, {"labels.csv": b"path,label\ngone.png,cat\n", "a.png": images.png(1)})


def test_a_folder_that_a_table_lists_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at for each image, a folder of some ten thousand takes a quarter of an hour."""
    rows = [f"{number}.png,{number % 2}" for number in range(50)]
    source = images.folder(tmp_path, {f"{number}.png": images.png(number) for number in range(50)})
    (source / "labels.csv").write_text("\n".join(["path,label", *rows]))
    looks: list[Path] = []
    visible = image_files.visible

    def look(path: Path) -> list[Path]:
        looks.append(path)
        return visible(path)

    monkeypatch.setattr(image_files, "visible", look)
    found = pictures.listed_images(tables.look(source / "labels.csv"), source, Wanted("path", "label"), room=source)
    assert [one.origin for one in found] == [row.split(",")[0] for row in rows]
    assert looks == [source]


LISTED = "file_name,label\n0.png,cat\n1.png,dog\n"
PAIR = {f"{number}.png": images.png(number) for number in range(2)}


@pytest.mark.parametrize(
    ("files", "sources"),
    [
        # As Hugging Face's imagefolder has them: a table in the folder of each split.
        ({f"{part}/{name}": one for part in ("train", "test") for name, one in PAIR.items()}
         | {f"{part}/metadata.csv": LISTED.encode() for part in ("train", "test")}, ["train", "test"]),
        # The tables beside the folders of their splits, whose images have the same names.
        ({f"{part}/{name}": one for part in ("train", "test") for name, one in PAIR.items()}
         | {f"{part}.csv": LISTED.encode() for part in ("train", "test")}, ["train", "test"]),
        # One table beside one folder, with the names of the images, without their suffixes, or with a deeper folder.
        ({f"images/{name}": one for name, one in PAIR.items()} | {"labels.csv": LISTED.encode()}, ["labels.csv"]),
        ({f"images/{name}": one for name, one in PAIR.items()}
         | {"labels.csv": LISTED.replace(".png", "").encode()}, ["labels.csv"]),
        ({f"a/b/{name}": one for name, one in PAIR.items()}
         | {"labels.csv": LISTED.replace("\n0", "\nb/0").encode(), "c/x.txt": b"x"}, ["labels.csv"]),
    ],
)  # fmt: skip
def test_a_table_may_lie_beside_the_folder_of_its_images(tmp_path: Path, files: Any, sources: list[str]) -> None:
    found, told = brought(tmp_path, files)
    assert sorted((Path(name).stem, label, source) for name, label, source in found) == sorted(
        (number, label, source) for number, label in (("0", "cat"), ("1", "dog")) for source in sources
    )
    assert "paths of column `file_name`" in told[0]


def test_a_name_that_two_images_have_is_no_name_of_either(tmp_path: Path) -> None:
    files = {f"{folder}/{name}": one for folder in ("new", "old") for name, one in PAIR.items()}
    with pytest.raises(DataError, match=r"line 2: 0\.png may be new/0\.png and old/0\.png: write its path from"):
        brought(tmp_path, files | {"labels.csv": LISTED.encode()})  # new and old are no classes
