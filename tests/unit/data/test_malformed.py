"""Files that are broken in any way: rows, or one error that says so; nothing is half done, and nothing hangs."""

import gzip
import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from luodi.data import columns, delimited, documents, importing, tables
from luodi.data.labels import Labels
from luodi.errors import BrokenData, LuodiError
from luodi.scaffold import amending

ROWS = [("房间很好, 安静", "好评"), ('他说"不错"', "好评"), ("太脏了\n再也不来", "差评"), ("=1+1", "差评"), ("", "")]


SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def workbook() -> bytes:
    """As small as one that is read can be."""
    cells = [
        [f'<c t="inlineStr"><is><t>{value}</t></is></c>' for value in row]
        for row in [("text", "label"), *ROWS[3:4] * 2]
    ]
    rows = "".join(f'<row r="{place}">{"".join(row)}</row>' for place, row in enumerate(cells, 1))
    one = '<Relationship Id="a" Type="{}/{}" Target="{}"/>'
    parts = {
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}">{one.format(OFFICE, "officeDocument", "xl/workbook.xml")}'
        "</Relationships>",
        "xl/workbook.xml": f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}"><sheets>'
        '<sheet name="a" sheetId="1" r:id="a"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">'
        f"{one.format(OFFICE, 'worksheet', 'worksheets/sheet1.xml')}</Relationships>",
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{SHEET}"><sheetData>{rows}</sheetData></worksheet>',
    }
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return sink.getvalue()


def good() -> dict[str, bytes]:
    quoted = "text,label\n" + "".join('"{}",{}\n'.format(text.replace('"', '""'), label) for text, label in ROWS)
    lines = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS)
    sink, archive = io.BytesIO(), io.BytesIO()
    texts, labels = zip(*ROWS, strict=True)
    pq.write_table(pa.table({"text": texts, "label": labels}), sink)
    with zipfile.ZipFile(archive, "w") as inside:
        inside.writestr("a.csv", quoted)
    return {
        "a.csv": quoted.encode(),
        "b.csv": quoted.replace("\n", "\r\n").encode("utf-8-sig"),
        "c.tsv": quoted.replace(",", "\t").encode("utf-16"),
        "d.jsonl": lines.encode(),
        "e.json": json.dumps([{"text": text, "label": label} for text, label in ROWS]).encode(),
        "f.parquet": sink.getvalue(),
        "g.csv.gz": gzip.compress(quoted.encode()),
        "h.zip": archive.getvalue(),
        "i.xlsx": workbook(),
    }


GOOD = good()
NASTY = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b'"',
    b"\n",
    b"\r",
    b",",
    b"[" * 3000,
    b"{",
    b"PAR1",
    b"1e999",
    b"\xef\xbb\xbf",
    b"'",
]
cut = st.tuples(st.integers(0, 4000), st.integers(0, 40), st.sampled_from(NASTY) | st.binary(max_size=12))


def broken(content: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    """With some bytes of it taken out, and others put there."""
    for place, count, other in cuts:
        start = place % (len(content) + 1)
        content = content[:start] + other + content[start + count :]
    return content


def read(path: Path) -> Any:
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as room:
            found = documents.opened(path, tables.PLAIN, columns.NOTHING, Labels(), Path(room))
            return [*found.rows]
    except LuodiError as error:
        assert str(error)
        return None


def test_the_files_are_read_unless_they_are_broken(tmp_path: Path) -> None:
    for name, content in GOOD.items():
        (tmp_path / name).write_bytes(content)
        assert len(read(tmp_path / name) or ()) >= 2, name


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=5000)
@example(name="h.zip", cuts=[(0, 1, b"")])
@given(name=st.sampled_from(sorted(GOOD)), cuts=st.lists(cut, min_size=1, max_size=4))
def test_a_broken_file_gives_rows_or_one_error(tmp_path: Path, name: str, cuts: Any) -> None:
    read_and_written(tmp_path, name, cuts)


@pytest.mark.proof
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10_000)
@given(name=st.sampled_from(sorted(GOOD)), cuts=st.lists(cut, min_size=1, max_size=4))
def test_so_do_ten_thousand(tmp_path: Path, name: str, cuts: Any) -> None:
    read_and_written(tmp_path, name, cuts)


def read_and_written(tmp_path: Path, name: str, cuts: Any) -> None:
    (tmp_path / name).write_bytes(broken(GOOD[name], cuts))
    rows = read(tmp_path / name) or []
    assert all(row.item is None or isinstance(row.item, str) for row in rows)
    with importing.Writer(tmp_path, "text") as writer:
        for batch in importing.batches(iter(rows), "") if rows else ():
            writer.write(batch)


@pytest.mark.slow
@pytest.mark.parametrize("size", [delimited.LONGEST, pytest.param(2**31, marks=pytest.mark.proof)])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_line_that_is_no_row_is_refused_before_it_is_read_whole(tmp_path: Path, name: str, size: int) -> None:
    with (tmp_path / name).open("wb") as file:
        file.write({"a.csv": b'text,label\ngood,a\nbad,b\n"', "a.jsonl": b'{"text": "good"}\n{"text": "'}[name])
        for _ in range(0, size, 2**24):
            file.write(b"x" * 2**24)
    with pytest.raises(BrokenData, match=r"line \d has more than 134,217,728 characters: expected a row"):
        list(documents.opened(tmp_path / name, tables.PLAIN, columns.NOTHING, Labels(), tmp_path).rows)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=5000)
@given(cuts=st.lists(cut, min_size=1, max_size=4))
def test_a_broken_sheet_gives_lines_or_one_error(tmp_path: Path, cuts: Any) -> None:
    sheet = "verdict,label,text,row\nkeep,好评,很好,a.parquet:0 b.parquet:1\ndrop,差评,'=1,a%20b.parquet:7\n"
    (tmp_path / "sheet.csv").write_bytes(broken(sheet.encode(), cuts))
    try:
        for line in amending.lines(tmp_path / "sheet.csv", "text"):
            assert line.places
    except LuodiError as error:
        assert str(error)
