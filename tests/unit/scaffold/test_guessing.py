"""What a source of which nobody said so is taken for."""

import zipfile
from pathlib import Path

import pytest
from images import png

from luodi.errors import MissingData
from luodi.scaffold import guessing

IMAGE, TEXT = png((4, 4)), "很好\n".encode()
SOURCES: dict[str, tuple[str, dict[str, bytes]]] = {
    "a table": ("text", {"a.csv": b"text,label\nfine,1\nbad,0\n"}),
    "a table that names images": ("image", {"a.csv": b"file,label\nx/1.PNG,1\nx/2.jpg,0\n"}),
    "a text may end as an image's name does": ("text", {"a.csv": b"text,label\nsee cat.png,1\nfine,0\n"}),
    "a table of no row": ("text", {"a.csv": b"file,label\n"}),
    "images": ("image", {"cat/1.png": IMAGE, "dog/2.png": IMAGE, "README": TEXT}),
    "images without a suffix": ("image", {"train/cat/1": IMAGE, "train/dog/2": IMAGE, "labels.csv": TEXT}),
    "texts": ("text", {"ham/1.txt": TEXT, "spam/2.txt": TEXT, "spam/logo.png": IMAGE}),
    "tables of splits": ("text", {"train.csv": b"text,label\na,b\n", "test.csv": b"text,label\na,b\n"}),
}


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_taken_for_what_most_of_it_is(name: str, packed: bool, tmp_path: Path) -> None:
    expected, files = SOURCES[name]
    for one, content in files.items():
        (path := tmp_path / "data" / one).parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    source = tmp_path / "data" / next(iter(files)) if len(files) == 1 else tmp_path / "data"
    if packed:
        with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
            for one in files:
                archive.write(tmp_path / "data" / one, one)
        source = tmp_path / "data.zip"
    if packed and name == "images without a suffix":
        expected = "text"  # names are all that is looked at: --modality says it
    assert guessing.modality(source) == expected


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="is not a file"):
        guessing.modality(tmp_path / "no.csv")
