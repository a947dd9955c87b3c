"""Folders of texts, a file each, as people have them, packed or not."""

import bz2
import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import images
import pytest

from luodi.data import documents, inputs
from luodi.data.columns import NOTHING, Wanted
from luodi.data.labels import Labels
from luodi.data.tables import PLAIN, Given
from luodi.errors import BrokenData, DataError, MissingColumn, MissingData, WrongValue

Files = dict[str, bytes]
MAILS: Files = {f"{label}/{n}.txt": f"{label} mail {n}".encode() for label in ("ham", "spam") for n in range(2)}
STRAYS = {
    "README": b"x", "ham/.x": b"", "spam/Thumbs.db": b"", "spam/sheet.csv": b"text,label", "spam/a.png": images.png(1),
    "spam/a.pdf": b"%PDF-1.4", "spam/a.zip": b"PK", "spam/a.exe": b"MZ\0\0",
}  # fmt: skip
TABLE = b"text,label\na,x\nb,y\n"
LONGER = """房间很干净,服务员也很热情，隔音太差了，一晚上没睡好
早餐种类丰富，孩子很喜欢；前台态度恶劣，再也不会来了
位置方便，离地铁站五分钟，空调坏了，没有人来修理"""
SHORT = "Grüße aus München – schöne Tage, größte Freude\nC’est très cher"


def brought(source: Path, given: Given = PLAIN, **wanted: Any) -> tuple[list[tuple[Any, ...]], list[str]]:
    (room := source.parent / "room").mkdir()
    found = documents.opened(source, given, Wanted(**wanted), Labels(), room)
    rows = [(row.origin, row.label, row.source, row.item, *row.kept) for row in found.rows]
    return rows, found.notes


def plain(files: Files, source: str = "in") -> list[tuple[Any, ...]]:
    return [(name, name.split("/")[0], source, content.decode()) for name, content in files.items()]


@pytest.mark.parametrize(
    ("files", "expected", "said"),
    [
        (MAILS, plain(MAILS), []),
        ({f"set/{name}": one for name, one in MAILS.items()}, plain(MAILS), []),
        ({"alt.atheism/53068": b"no god", "sci.med/1": b"pills"},
         [("alt.atheism/53068", "alt.atheism", "in", "no god"), ("sci.med/1", "sci.med", "in", "pills")], []),
        ({"a/x/1.html": b"<p>x</p>", "b/2.eml": b"From: b"},
         [("a/x/1.html", "a", "in", "<p>x</p>"), ("b/2.eml", "b", "in", "From: b")], []),
        ({"de/1.txt.gz": gzip.compress(b"Hallo"), "fr/man1/ls.1.bz2": bz2.compress(b"Salut"), "fr/2.gz": b"broken",
          "de/t.csv.gz": gzip.compress(TABLE), "de/z.gz": gzip.compress(b"\0\0")},
         [("de/1.txt.gz", "de", "in", "Hallo"), ("fr/man1/ls.1.bz2", "fr", "in", "Salut")],
         ["passed over: 3 file(s) that are no text of a class (de/t.csv.gz, de/z.gz, fr/2.gz)"]),
        (MAILS | STRAYS, plain(MAILS),
         ["passed over: 6 file(s) that are no text of a class (README, spam/a.exe, spam/a.pdf, spam/a.png, spam/a.zip, "
          "…)"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("packing", ["folder", "zip", "tar.gz"])
def test_a_folder_for_each_class_is_read(
    tmp_path: Path, files: Files, expected: Any, said: list[str], packing: str
) -> None:
    source = images.folder(tmp_path, files)
    if packing != "folder":
        source = tmp_path / f"in.{packing}"
        source.write_bytes(packed(files, packing))
    found, notes = brought(source)
    assert found == [(*row[:2], source.name, *row[3:]) for row in expected]
    assert notes == [f"read {len(found):,} files in UTF-8", *said]


def packed(files: Files, packing: str) -> bytes:
    sink = io.BytesIO()
    if packing == "zip":
        with zipfile.ZipFile(sink, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(fileobj=sink, mode="w:gz") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return sink.getvalue()


def test_folders_of_splits_above_the_classes_are_taken_as_such(tmp_path: Path) -> None:
    """Beside the classes other files may lie, as in aclImdb."""
    files = {f"aclImdb/{part}/{name}": one for part in ("test", "train") for name, one in MAILS.items()}
    found, notes = brought(
        images.folder(tmp_path, files | {"aclImdb/train/urls.txt": b"http://", "aclImdb/imdb.vocab": b"a"})
    )
    assert [row[:3] for row in found] == [
        (name.removeprefix("aclImdb/"), name.split("/")[2], name.split("/")[1]) for name in files
    ]
    assert notes[1:] == ["passed over: 2 file(s) that are no text of a class (imdb.vocab, train/urls.txt)"]


@pytest.mark.parametrize(
    ("encoding", "name"), [("cp1252", "Windows-1252"), ("gb18030", "GB18030"), ("utf-16", None), ("utf-8-sig", None)]
)
def test_what_is_not_utf8_is_read_as_its_lines_tell(tmp_path: Path, encoding: str, name: str | None) -> None:
    text = LONGER if encoding == "gb18030" else SHORT
    found, notes = brought(
        images.folder(tmp_path, MAILS | {"spam/9.txt": text.encode(encoding), "spam/8.txt": "é".encode()})
    )
    assert [row[3] for row in found] == [*(one.decode() for one in MAILS.values()), "é", text]
    assert notes == ["read 6 files in UTF-8" + (f", others in {name}" if name else "")]


def test_an_encoding_that_is_in_doubt_is_asked_for_and_may_be_given(tmp_path: Path) -> None:
    source = images.folder(tmp_path, MAILS | {"spam/9.txt": "Źle, nigdy więcej tu nie wrócę".encode("cp1250")})
    with pytest.raises(
        BrokenData, match=r"spam/9.txt of .* do not tell what it is .*; those that are UTF-8 are read as"
    ):
        documents.opened(source, Given(), Wanted(), Labels(), tmp_path)
    found, notes = brought(source, Given("cp1250"))
    assert found[-1][3] == "Źle, nigdy więcej tu nie wrócę"
    assert notes == ["read 5 files in UTF-8, others in cp1250"]


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251", "iso2022_jp", "utf-8"])
def test_an_encoding_that_is_given_is_of_the_files_that_are_not_utf8(tmp_path: Path, encoding: str) -> None:
    """A folder that many people wrote holds both; as Windows-1252 each é of the others would be two letters."""
    text = {"cp1252": "café", "cp1251": "отель", "iso2022_jp": "ホテル"}.get(encoding, "plain")
    files = {"a/1.txt": text.encode(encoding), "b/2.txt": "nicht schön".encode(), "b/3.txt": b"\xef\xbb\xbf\xc3\xa9"}
    found, _ = brought(images.folder(tmp_path, files), Given(encoding))
    assert [row[3] for row in found] == [text, "nicht schön", "é"]


def test_bytes_of_no_encoding_become_what_validation_holds_back(tmp_path: Path) -> None:
    found, _ = brought(images.folder(tmp_path, MAILS | {"spam/9.txt": b"\x81 caf\xe9"}), Given("cp1252"))
    assert found[-1][3] == "\N{REPLACEMENT CHARACTER} café"


def test_folders_and_paths_name_groups(tmp_path: Path) -> None:
    files: Files = {"ham/anna/1.txt": b"x", "ham/2.txt": b"y", "spam/anna/3.txt": b"z"}
    found, _ = brought(images.folder(tmp_path / "a", files), groups=("folder",))
    assert [row[4] for row in found] == [None, "anna", "anna"]
    found, notes = brought(images.folder(tmp_path / "b", files), pattern="(anna|2)")
    assert [row[4] for row in found] == ["2", "anna", "anna"]
    assert notes[1:] == ["--group-pattern finds 2 groups"]


@pytest.mark.parametrize(
    ("given", "wanted", "error", "said"),
    [
        (Given(), {"item": "text"}, WrongValue, "--text-column is of tables"),
        (Given(header=False), {}, WrongValue, "--no-header is of tables"),
        (Given(), {"keep": ("author",)}, MissingColumn, "no column `author`, for no table lists its texts"),
        (Given(), {"pattern": "zz"}, WrongValue, "no path of a text holds it, such as ham/0.txt"),
    ],
)
def test_what_is_wanted_of_files_and_is_of_tables_is_refused(
    tmp_path: Path, given: Given, wanted: Any, error: type[DataError], said: str
) -> None:
    with pytest.raises(error, match=said):
        brought(images.folder(tmp_path, MAILS), given, **wanted)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    source = images.folder(tmp_path, MAILS)
    (tmp_path / "secret").write_text("x")
    (source / "ham/9.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(BrokenData, match="leads out of"):
        brought(source)


@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_tables_of_splits_are_read_packed_or_not(tmp_path: Path, packing: str) -> None:
    files = {"set/train.csv": TABLE, "set/test.csv": TABLE, "set/README.md": b"x"}
    source = images.folder(tmp_path, files)
    if packing == "zip":
        source = tmp_path / "in.zip"
        source.write_bytes(packed(files, packing))
    found, notes = brought(source)
    assert [row[1:4] for row in found] == [
        ("x", "test", "a"),
        ("y", "test", "b"),
        ("x", "train", "a"),
        ("y", "train", "b"),
    ]
    assert notes == ["read test.csv, train.csv as .csv in UTF-8, commas between columns"]


@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_files_are_read_to_predict_whatever_folder_they_lie_in(tmp_path: Path, packing: str) -> None:
    files: Files = {"1.txt": b"x", "a/2.eml": "größer".encode("cp1252"), "a/b.png": images.png(1), "c.txt": b""}
    source, said = images.folder(tmp_path, files), list[str]()
    if packing == "zip":
        source = tmp_path / "in.zip"
        source.write_bytes(packed(files, packing))
    assert inputs.is_of_files(str(source))
    found = [one for batch in inputs.files(str(source), tell=said.append) for one in batch]
    start = "" if packing == "zip" else f"{source}/"
    assert found == [(f"{start}1.txt", "x"), (f"{start}a/2.eml", "größer"), (f"{start}c.txt", "")]
    assert said == ["read 3 files in UTF-8, others in Windows-1252"]


@pytest.mark.parametrize("name", ["icon.svg", "photo.heic"])
def test_pictures_that_are_not_read_are_no_texts(name: str, tmp_path: Path) -> None:
    """A folder of .svg became a model of texts."""
    source = images.folder(tmp_path, {f"{label}/{name}": b"<svg/>" for label in "ab"})
    with pytest.raises(
        MissingData, match=rf"found 2 images of another kind \(a/{name}, b/{name}\): convert them to PNG"
    ):
        documents.opened(source, PLAIN, NOTHING, Labels(), tmp_path)


def test_a_folder_without_a_text_to_predict_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"no text in .*in: a text is a file"):
        list(inputs.files(str(images.folder(tmp_path, {"a.png": images.png(1)}))))
