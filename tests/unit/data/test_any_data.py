"""Files and folders of every kind that people bring, each with what becomes of it."""

import base64
import bz2
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import images
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from luodi.data import columns, encodings, image_files, importing, inputs, packed, pictures, tables
from luodi.data.columns import Wanted
from luodi.data.labels import Labels
from luodi.data.tables import Given
from luodi.errors import BrokenData, MissingColumn, MissingData

CHINESE = [
    ("房间很干净,服务员也很热情", "1"), ("隔音太差了，一晚上没睡好", "0"),
    ("早餐种类丰富，孩子很喜欢", "1"),
    ("前台态度恶劣，再也不会来了", "0"),
    ("位置方便，离地铁站五分钟", "1"), ("空调坏了，没有人来修理", "0"),
]  # fmt: skip
TAIWANESE = [
    ("這家飯店的服務非常好,房間乾淨", "1"), ("品質太差了,完全不值這個價錢", "0"),
    ("物流很快,包裝也很完整,謝謝賣家", "1"),
    ("這本書的內容讓我失望,不會再買", "0"),
    ("螢幕顏色漂亮,電池可以用很久", "1"), ("客服態度惡劣,打電話都沒有人接", "0"),
]  # fmt: skip
WESTERN = [
    ("La chambre était très propre", "1"), ("Größe passt, Qualität könnte besser sein", "1"),
    ("El niño llegó tarde", "0"),
    ("C’est trop cher – 80 €", "0"), ("Schöne Grüße aus München", "1"), ("Tout était abîmé", "0"),
]  # fmt: skip
POLISH = [("Pokój był czysty, obsługa bardzo miła", "1"), ("Źle, nigdy więcej tu nie wrócę", "0")]
RUSSIAN = [("Очень хороший отель", "1"), ("Больше не приеду", "0"), ("Персонал вежливый", "1")]
JAPANESE = [("とても良いホテルでした", "1"), ("部屋が汚くてがっかり", "0"), ("配送が早くて助かりました", "1")]
KOREAN = [("호텔이 정말 깨끗했어요", "1"), ("서비스가 너무 나빠요", "0")]
LONG = [("很" * 200_000, "1"), ("短", "0")]


def csv(rows: list[tuple[str, str]], between: str = ",", header: str | None = "text,label", end: str = "\n") -> str:
    lines = [header.replace(",", between)] if header else []
    lines += [between.join(f'"{cell}"' if between in cell else cell for cell in row) for row in rows]
    return end.join(lines) + end


def jsonl(rows: list[tuple[str, Any]]) -> str:
    return "".join(json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n" for text, label in rows)


def array(rows: list[tuple[str, str]]) -> str:
    return json.dumps([{"text": text, "label": label} for text, label in rows], indent=1)


def in_columns(kind: Callable[[Any], Any]) -> str:
    return json.dumps({name: kind(row[place] for row in CHINESE) for place, name in enumerate(("text", "label"))})


def nested(rows: list[tuple[str, str]]) -> str:
    return "".join(json.dumps({"data": {"text": text}, "meta": {"label": label}}) + "\n" for text, label in rows)


def parquet(rows: list[tuple[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]}), sink)
    return sink.getvalue()


def zst(content: bytes) -> bytes:
    return bytes(pa.compress(content, "zstd", asbytes=True))


def zipped(files: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return sink.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return sink.getvalue()


OLD_WORKBOOK = gzip.decompress(base64.b85decode(
    'ABzY8000000t4+>O=wd=5dQYP{F|gnO@&q{v0&AhgW^SyHY#Yn7+Nn{QDR~rMG{(x0e?WP)`*v);7RdP=*3Ibi$CZ=Zytn-9uz@H^jHuC1rKeW'
    'vy+XcHHQYYsO<OH*?F@wv-950?E85+6E02O>nLLpdSRksd*P~+32NTjNeDD<+mfyI9%{D6KLxLc7SiR!<G>5ITtm6uWf-{Yct#ZXK<yBYBRM)^'
    'MVApfIfk^5G4v1>xJ8m6+BvFLrbn5sWO|1+pD^9dk_o0gq+1dPF_TEfwyG>XV07_V5Yq1hwt2^r&1l1OnZ@U?iK?y>JMzcUxxaIu)8WSyXx;j('
    '5i6h0l@Or?oWfT-3Vf+m>eHx}FRxsH<lh#`-3{c|4F@m=`v@m^5q`{?a>RlB=*bgv*u&-MVhIY?se%*8r88E}4RIxPcF=FHNUq7gy=o16A!37{'
    '4qr}gqbVi^QprHl8m45~M26{jG~<(7H<x;7L8%A01pGvY(87F}3n4_C`P}W#ul8p86DgLA@%CPQ2&|QH!^Q<^LB>H;qn41mF{T@tUSzMUneSj4'
    'q4cG`yT45_yT@7Q5|4J%JX;vA6YJ{u^~4uv2Of47KPEO1KiyY86PbRKm_!#nl!nM&9^;6MxVU*k;!&d33$<aqXWIVD=HW3yDt22v=~^%kAG2Ym'
    ')iZf_gwhuc^ablnkLL^@#}nqeEcJ~B`UdNp%769lJCwfJK;LA2r}A(9@ZW2+;=Xi7Ti;LkprN6mp`oFnp`oz|LcOw^>IL4ZJ`CLIzs@|hivCUV'
    '-(nv|=_t@w<1UO)pU3H@@@EyCqUK91(WdslP+~vLo<|lLjw9Q2{?dn?sK1^i8-{*g2{k)^rI|SY@ciEaNa&9A02TlM'
))  # fmt: skip
"""An .xls file as xlwt writes it: the rows of `OLD`."""
OLD = [("很好，下次还来", "1"), ("太差了; 再也不来", "0"), ("a, b", "1")]


def far_cell() -> bytes:
    """A workbook of a kilobyte for whose last sheet half a terabyte would be taken."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(a=SHEET))) as before, zipfile.ZipFile(sink, "w") as archive:
        for name in before.namelist():
            last = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
            archive.writestr(name, before.read(name).replace(b"</sheetData>", last))
    return sink.getvalue()


def workbook(**sheets: list[list[Any]]) -> bytes:
    """An .xlsx file: texts and numbers in its cells, as Excel writes them, in the fewest parts."""
    from xml.sax.saxutils import escape

    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    kinds = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"

    def cell(value: Any) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
        return "<c/>" if value is None else f"<c><v>{value}</v></c>"

    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r"'
        f' Type="{kinds}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{kinds}"><sheets>'
        + "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1))
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="r{n}" Type="{kinds}/worksheet" Target="worksheets/{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        + "</Relationships>",
    }
    for number, rows in enumerate(sheets.values(), 1):
        body = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        parts[f"xl/worksheets/{number}.xml"] = f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>'
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return sink.getvalue()


SHEET = [["text", "label"], *map(list, CHINESE)]
COMMAS = csv(CHINESE).encode()
FAR = [("ok" * 50, "1")] * 12_000 + CHINESE
BARE = [('he said "no', "0"), ("so it's fine", "1"), ('5" screen', "1"), ('"quoted" and on', "0")]

READ: dict[str, tuple[str, bytes | str, list[tuple[str, Any]], Given, Wanted, str]] = {
    name: (file, content, rows, *more, *(Given(), Wanted(), "")[len(more) :])  # type: ignore[misc]
    for name, (file, content, rows, *more) in {
        # Delimiters
        "commas": ("a.csv", COMMAS, CHINESE, Given(), Wanted(), ".csv in UTF-8, commas between columns"),
        "tabs": ("a.tsv", csv(CHINESE, "\t"), CHINESE, Given(), Wanted(), "tabs"),
        "tabs, as spreadsheets name them": ("a.tab", csv(CHINESE, "\t"), CHINESE, Given(), Wanted(), "tabs"),
        "tabs in .csv": ("a.csv", csv(CHINESE, "\t"), CHINESE, Given(), Wanted(), "tabs"),
        "semicolons": ("a.csv", csv(CHINESE, ";"), CHINESE, Given(), Wanted(), "semicolons"),
        "pipes": ("a.txt", csv(CHINESE, "|"), CHINESE, Given(), Wanted(), "pipes"),
        "another, named": ("a.txt", csv(CHINESE, "~"), CHINESE, Given(delimiter="~"), Wanted(), "'~' between"),
        "DOS lines": ("a.CSV", csv(CHINESE, end="\r\n"), CHINESE),
        "Mac lines": ("a.csv", csv(CHINESE, end="\r"), CHINESE),
        "quotes as letters": ("a.tsv", csv(BARE, "\t"), BARE, Given(), Wanted(), "quotes as they stand"),
        "line breaks in quotes": ("a.csv", 'text,label\n"两\n行",1\n坏,0\n', [("两\n行", "1"), ("坏", "0")]),
        "two delimiters, one named": ("a.csv", "text;x,label\n好;1,1\n坏;0,0\n", [("好;1", "1"), ("坏;0", "0")],
                                      Given(delimiter=","), Wanted("text;x"), "commas"),
        # Encodings
        "a mark": ("a.csv", b"\xef\xbb\xbf" + COMMAS, CHINESE, Given(), Wanted(), "UTF-8"),
        "Excel's Unicode": ("a.txt", csv(CHINESE, "\t").encode("utf-16"), CHINESE, Given(), Wanted(), "UTF-16"),
        "UTF-16, big end first": ("a.csv", b"\xfe\xff" + csv(CHINESE).encode("utf-16-be"), CHINESE),
        "UTF-16 without a mark, named": ("a.csv", csv(CHINESE).encode("utf-16-le"), CHINESE, Given("utf-16-le")),
        "GB18030": ("a.csv", csv(CHINESE).encode("gb18030"), CHINESE, Given(), Wanted(), "in GB18030, commas"),
        "Big5": ("a.csv", csv(TAIWANESE).encode("big5"), TAIWANESE, Given(), Wanted(), "in Big5, commas"),
        "windows-1252": ("a.csv", csv(WESTERN).encode("cp1252"), WESTERN, Given(), Wanted(), "in Windows-1252"),
        "windows-1250, named": ("a.csv", csv(POLISH).encode("cp1250"), POLISH, Given("cp1250")),
        "GB18030 far behind": ("a.csv", csv(FAR).encode("gb18030"), FAR, Given(), Wanted(), "GB18030"),
        "GB18030 in JSON": ("a.jsonl", jsonl(CHINESE).encode("gb18030"), CHINESE, Given(), Wanted(), "GB18030"),
        # No header
        "no header": ("a.csv", csv(CHINESE, header=None), CHINESE, Given(header=False), Wanted("1", "2")),
        "no header, tabs": ("a.txt", csv(CHINESE, "\t", None), CHINESE, Given(header=False), Wanted("1", "2"), "tabs"),
        "no header, a sheet": ("a.xlsx", workbook(a=SHEET[1:]), CHINESE, Given(header=False), Wanted("1", "2")),
        # Kinds
        "JSON lines": ("a.ndjson", jsonl(CHINESE), CHINESE, Given(), Wanted(), ".ndjson in UTF-8"),
        "an array": ("a.json", array(CHINESE), CHINESE),
        "JSON lines called .json": ("a.json", jsonl(CHINESE), CHINESE),
        "an array under a key": ("a.json", json.dumps({"data": json.loads(array(CHINESE)), "n": 6}), CHINESE, Given(),
                                 Wanted(), ".json in UTF-8, rows under `data`"),
        "lists": ("a.json", in_columns(list), CHINESE, Given(), Wanted(), ", a list for each column"),
        "columns as pandas writes them": ("a.json", in_columns(lambda values: dict(enumerate(values))), CHINESE,
                                          Given(), Wanted(), ", a list for each column"),
        "rows as pandas writes them": ("a.json", json.dumps(dict(enumerate(json.loads(array(CHINESE))))), CHINESE,
                                       Given(), Wanted(), ", numbered rows"),
        "one object": ("a.json", json.dumps({"text": "好", "label": "1"}), [("好", "1")]),
        "keys inside keys": ("a.jsonl", nested(CHINESE), CHINESE, Given(), Wanted("data.text", "meta.label")),
        "Parquet": ("a.parquet", parquet(CHINESE), CHINESE, Given(), Wanted(), ".parquet"),
        "a workbook": ("a.xlsx", workbook(Tabelle1=SHEET), CHINESE, Given(), Wanted(), "sheet Tabelle1"),
        "a workbook, empty sheets": ("a.xlsx", workbook(a=SHEET, b=[], c=[]), CHINESE, Given(), Wanted(), "sheet a"),
        "a sheet, named": ("a.xlsx", workbook(a=[["x"]], b=SHEET), CHINESE, Given(sheet="b")),
        "numbers in a sheet": ("a.xlsx", workbook(a=[["text", "label"], ["好", 1.0]]), [("好", "1")]),
        # Compressed
        "gzip": ("a.csv.gz", gzip.compress(COMMAS), CHINESE, Given(), Wanted(), ".csv in UTF-8"),
        "bzip2": ("a.csv.bz2", bz2.compress(COMMAS), CHINESE),
        "zstd": ("a.tsv.zst", zst(csv(CHINESE, "\t").encode()), CHINESE),
        "zip": ("a.zip", zipped({"hotels.csv": COMMAS, "__MACOSX/._hotels.csv": b"x", ".DS_Store": b"x"}), CHINESE),
        "zip of GB18030": ("a.csv.zip", zipped({"data/hotels.csv": csv(CHINESE).encode("gbk")}), CHINESE),
        "gzip of JSON": ("a.json.gz", gzip.compress(array(CHINESE).encode()), CHINESE),
        "gzip of JSON lines": ("a.jsonl.gz", gzip.compress(jsonl(CHINESE).encode()), CHINESE),
        "zstd of Parquet": ("a.parquet.zst", zst(parquet(CHINESE)), CHINESE),
        "zip of Parquet": ("a.zip", zipped({"a.parquet": parquet(CHINESE)}), CHINESE),
        "a workbook with macros": ("a.xlsm", workbook(a=SHEET), CHINESE),
        "a workbook of 1997": ("a.xls", OLD_WORKBOOK, OLD, Given(), Wanted(), "sheet rows"),
        "zip of a workbook": ("a.zip", zipped({"a.xlsx": workbook(a=SHEET)}), CHINESE),
        "gzip of a workbook": ("a.xlsx.gz", gzip.compress(workbook(a=SHEET)), CHINESE),
        "tar": ("a.tar", tarred({"data/a.csv": COMMAS}), CHINESE),
        "tar in gzip": ("a.tar.gz", tarred({"a.csv": COMMAS}, "w:gz"), CHINESE),
        "tgz": ("a.tgz", tarred({"a.jsonl": jsonl(CHINESE).encode()}, "w:gz"), CHINESE),
        # Texts
        "very long texts": ("a.csv", csv(LONG), LONG),
        "very long texts in JSON": ("a.jsonl", jsonl(LONG), LONG),
    }.items()
}  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    def writer(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return writer


def read(path: Path, given: Given, wanted: Wanted, labels: Labels | None = None) -> tuple[list[importing.Row], str]:
    table = tables.look(path, given)
    return list(importing.texts(table, columns.choose_columns(table, wanted), labels)), table.said


@pytest.mark.parametrize("case", READ)
def test_a_table_is_read_by_add_and_by_predict(write: Callable[..., Any], case: str) -> None:
    name, content, rows, given, wanted, said = READ[case]
    path = write(name, content)
    found, told = read(path, given, wanted)
    assert said in told
    assert [(row.item, row.label) for row in found] == rows
    assert all(row.source == name and row.origin for row in found)
    lines: list[str] = []
    again = [text for batch in inputs.batches(str(path), given, wanted.item, lines.append) for text in batch]
    assert again == [text for text, _ in rows]
    assert lines[0].startswith(f"read {name} as {told}, texts of column")


DOUBT = "name its encoding, for example --encoding"
REFUSED: dict[str, Any] = {
    name: (file, content, error, said, more[0] if more else Given())
    for name, (file, content, error, said, *more) in {
        "Polish": ("a.csv", csv(POLISH).encode("cp1250"), BrokenData, DOUBT),
        "Russian": ("a.csv", csv(RUSSIAN).encode("cp1251"), BrokenData, DOUBT),
        "Japanese": ("a.csv", csv(JAPANESE).encode("cp932"), BrokenData, DOUBT),
        "Japanese of Unix": ("a.csv", csv(JAPANESE).encode("euc_jp"), BrokenData, DOUBT),
        "Korean": ("a.csv", csv(KOREAN).encode("euc_kr"), BrokenData, DOUBT),
        "two characters": ("a.csv", "text,label\n好,1\n".encode("gbk"), BrokenData, DOUBT),
        "UTF-16 without a mark": ("a.csv", csv(WESTERN).encode("utf-16-le"), BrokenData, "--encoding utf-16-le"),
        "UTF-8 with a broken row": ("a.csv", COMMAS + b"\xff\xfe,1\n", BrokenData, "is not UTF-8: name its encoding"),
        "another than named": ("a.csv", COMMAS, BrokenData, "is not ascii", Given("ascii")),
        "two delimiters": ("a.csv", "text;label,x\na;b,c\n", BrokenData, "commas and semicolons .* --deli"),
        "no header": ("a.csv", csv(CHINESE, header=None), MissingColumn, "say --no-header"),
        "no header or columns": ("a.csv", csv(CHINESE, header=None), MissingColumn, "found 1, 2", Given(header=False)),
        "an open quote": ("a.csv", 'text,label\n"好,很,1\n坏,0\n', BrokenData, "never closed; correct that"),
        "two sheets": ("a.xlsx", workbook(a=SHEET, b=SHEET), BrokenData, "name it with --sheet; found a, b"),
        "a sheet that is not there": ("a.xlsx", workbook(a=SHEET), BrokenData, "--sheet; found a$", Given(sheet="b")),
        "a lone cell far away": ("a.xlsx", far_cell(), BrokenData, "ends at cell XFD1048576, .*: delete what"),
        "half a workbook of 1997": ("a.xls", OLD_WORKBOOK[:600], BrokenData, "is not a readable workbook"),
        "no workbook": ("a.xlsx", zipped({"x": b"x"}), BrokenData, "is not a readable workbook"),
        "a number": ("a.json", "[1]", BrokenData, "row 1: expected a JSON object, found 1"),
        "half an array": ("a.json", "[{", BrokenData, "is not JSON .* expected an array of objects"),
        "two arrays": ("a.json", '{"a": [{"x": 1}], "b": [{"x": 1}]}', BrokenData, r"found 2 \(a, b\): write each"),
        "two tables": ("a.zip", zipped({"a.csv": COMMAS, "b.csv": b""}), BrokenData, r"found 2 files \(a.csv, b"),
        "no table": ("a.zip", zipped({}), BrokenData, r"found 0 files \(none\)"),
        "half a gzip": ("a.csv.gz", gzip.compress(COMMAS)[:-9], BrokenData, "cannot be unpacked"),
        "half a bzip2": ("a.csv.bz2", bz2.compress(COMMAS)[:-9], BrokenData, "cannot be unpacked"),
        "half a zstd": ("a.csv.zst", zst(COMMAS)[:-9], BrokenData, "cannot be unpacked"),
        "half a zip": ("a.zip", zipped({"a.csv": COMMAS})[:-9], BrokenData, "cannot be unpacked"),
        "half a tar": ("a.tar", tarred({"a.csv": COMMAS})[:600], BrokenData, "cannot be unpacked"),
        "no gzip": ("a.csv.gz", COMMAS, BrokenData, "cannot be unpacked"),
        "a kind that is not known": ("a.doc", b"x", MissingData, "expected .csv, .*found .doc"),
        "no suffix": ("hotels.gz", gzip.compress(COMMAS), MissingData, "found no suffix"),
        "lists of labels": ("a.jsonl", jsonl([("好", ["a", "b"])]), BrokenData, "line 1: found a list .* keep"),
        "lists in cells": ("a.csv", "text,label\nx,\"['a', 'b']\"\n", BrokenData, "line 2: found a list of labels"),
        "lists in Parquet": ("a.parquet", parquet([("好", ["a"])]), BrokenData, "found list<.*; a row has one label"),
        "an object": ("a.jsonl", jsonl([("好", {"a": 1})]), BrokenData, "expected one label, in quotes, found"),
    }.items()
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_table_that_leaves_doubt_is_an_error_that_says_what_to_do(write: Callable[..., Any], case: str) -> None:
    name, content, error, said, given = REFUSED[case]
    with pytest.raises(error, match=said) as caught:
        read(write(name, content), given, Wanted())
    assert type(caught.value) is error
    assert name in str(caught.value) and len(str(caught.value)) < 500


# Labels


def test_labels_that_mean_the_same_are_one_and_it_is_told(write: Callable[..., Any]) -> None:
    labels = Labels()
    rows = [("a", "1"), ("b", "1.0"), ("c", " 1 "), ("d", "0"), ("e", "0.0"), ("f", "1.5"), ("g", "01"), ("h", "")]
    found, _ = read(write("a.csv", csv(rows)), Given(), Wanted(), labels)
    assert [row.label for row in found] == ["1", "1", "1", "0", "0", "1.5", "01", None]
    assert labels.told() == ["labels read as others: '1.0' as 1 (1), ' 1 ' as 1 (1), '0.0' as 0 (1)"]


def test_line_breaks_in_a_label_are_folded_and_it_is_told(write: Callable[..., Any]) -> None:
    labels = Labels()
    found, _ = read(
        write("a.jsonl", jsonl([("x", "very\r\n good"), ("y", "a\u2028b"), ("z", "全角　空格")])),
        Given(),
        Wanted(),
        labels,
    )
    assert [row.label for row in found] == ["very good", "a b", "全角　空格"]
    assert r"'very\r\n good' as very good (1)" in labels.told()[0]


def test_labels_get_the_names_that_are_given(write: Callable[..., Any]) -> None:
    path = write("a.jsonl", jsonl([("x", 0), ("y", 1.0), ("z", "2")]))
    labels = Labels({"0": "negative", "1": "positive"})
    assert [row.label for row in read(path, Given(), Wanted(), labels)[0]] == ["negative", "positive", "2"]
    assert labels.told() == ["labels that --label-map does not name stay as they are: 2"]
    labels = Labels({"no": "negative"})
    read(path, Given(), Wanted(), labels)
    with pytest.raises(BrokenData, match="--label-map names no, which no row has"):
        labels.told()


# Where a row comes from


OF = '{"id": "z"}'


def test_shards_keep_where_a_row_comes_from_and_what_is_named(write: Callable[..., Any], tmp_path: Path) -> None:
    lines = '{"text": "a", "label": "x", "n": 7, "of": {"id": "z"}}\n\n{"text": "b", "label": "y"}\n'
    table = tables.look(write("a.jsonl", lines))
    chosen = columns.choose_columns(table, Wanted(id="n", keep=("of", "of.id")))
    with importing.Writer(tmp_path, "text", list(chosen.stored)) as writer:
        for batch in importing.batches(importing.texts(table, chosen), "a.jsonl"):
            writer.write(batch)
    assert pq.read_table(tmp_path / "part-00000.parquet").to_pylist() == [
        {"text": "a", "label": "x", "source": "a.jsonl", "origin": "a.jsonl, line 1",
         "id": "7", "of": OF, "of.id": "z"},
        {"text": "b", "label": "y", "source": "a.jsonl", "origin": "a.jsonl, line 3",
         "id": None, "of": None, "of.id": None},
    ]  # fmt: skip
    assert columns.choose_columns(table, Wanted(keep=("label", "n"))).stored == {"kept label": "label", "n": "n"}
    with pytest.raises(MissingColumn, match="`day`"):
        columns.choose_columns(table, Wanted(keep=("day",)))


# Images

KINDS = {"PNG": "png", "JPEG": "jpg", "WebP": "webp", "BMP": "bmp", "TIFF": "tif", "GIF": "gif"}
PICTURES = {f"{label}/{number}.png": images.png(number) for label in ("cat", "dog") for number in range(2)}
LISTED = b"path,label\ncat/0.png,cat\ndog/1.png,dog\n"


def brought(source: Path, room: Path, listed: Path | None = None, **wanted: Any) -> list[tuple[str, str | None, str]]:
    room.mkdir()
    found, said = pictures.pictures(source, listed, room, given=Given(), wanted=Wanted(**wanted), labels=Labels())
    assert all(row.item for row in pictures.images(found))
    assert [one[:5] for one in said] == (["read "] if found[0].source.startswith("labels.") else [])
    return [(one.origin, one.label, one.source) for one in found]


def plain(source: str) -> list[tuple[str, str | None, str]]:
    return [(name, name.split("/")[0], source) for name in PICTURES]


SPLIT = {f"{part}/{name}": content for part in ("train", "val", "test") for name, content in PICTURES.items()}
FOLDERS: dict[str, tuple[dict[str, bytes], list[tuple[str, str | None, str]]]] = {
    "classes": (PICTURES, plain("in")),
    "one folder around": ({f"pets/{name}": one for name, one in PICTURES.items()}, plain("in")),
    "folders in classes": (
        {"cat/a/b/0.png": images.png(0), "dog/1.png": images.png(1)},
        [("cat/a/b/0.png", "cat", "in"), ("dog/1.png", "dog", "in")],
    ),
    "no suffix, a wrong one": (
        {"cat/0": images.png(0), "dog/1.dat": images.png(1)},
        [("cat/0", "cat", "in"), ("dog/1.dat", "dog", "in")],
    ),
    "splits": (SPLIT, [(name, name.split("/")[1], name.split("/")[0]) for name in sorted(SPLIT)]),
    "splits by other names": (
        {f"{part}/{name}": one for part in ("Training", "TEST") for name, one in PICTURES.items()},
        [
            (f"{part}/{name}", name.split("/")[0], source)
            for part, source in (("TEST", "test"), ("Training", "train"))
            for name in PICTURES
        ],
    ),
    "classes called as splits": (
        {"train/0.png": images.png(0), "test/1.png": images.png(1)},
        [("test/1.png", "test", "in"), ("train/0.png", "train", "in")],
    ),
    "a table beside images": (
        {"labels.csv": LISTED, **PICTURES},
        [("cat/0.png", "cat", "labels.csv"), ("dog/1.png", "dog", "labels.csv")],
    ),
}


@pytest.mark.parametrize("packing", ["folder", "zip", "tar", "tar.gz", "tar.zst"])
@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_is_read_packed_or_not(tmp_path: Path, case: str, packing: str) -> None:
    files, expected = FOLDERS[case]
    source = images.folder(tmp_path, files)
    if packing != "folder":
        content = {
            "zip": lambda: zipped(files),
            "tar": lambda: tarred(files),
            "tar.gz": lambda: tarred(files, "w:gz"),
            "tar.zst": lambda: zst(tarred(files)),
        }[packing]()
        source = tmp_path / f"in.{packing}"
        source.write_bytes(content)
    found = brought(source, tmp_path / "room")
    assert sorted(found) == sorted((name, label, source.name if at == "in" else at) for name, label, at in expected)
    names = [name for batch in inputs.images(str(source)) for name, _ in batch]
    assert {Path(name).name for name in names} == {Path(name).name for name in files if not name.endswith(".csv")}


@pytest.mark.parametrize("packing", [None, "zip"])
@pytest.mark.parametrize("table", ["labels.csv", "labels.jsonl", "labels.csv.gz"])
def test_a_table_of_paths_is_read(tmp_path: Path, table: str, packing: str | None) -> None:
    content = {
        "labels.csv": LISTED,
        "labels.jsonl": b'{"file": "cat/0.png", "label": "cat"}\n{"file": "dog/1.png", "label": "dog"}\n',
        "labels.csv.gz": gzip.compress(LISTED.replace(b"/", b"\\")),
    }[table]
    (tmp_path / table).write_bytes(content)
    place = images.folder(tmp_path, {f"pets/{name}": one for name, one in PICTURES.items()})
    if packing:
        place = tmp_path / "pets.zip"
        place.write_bytes(zipped({f"pets/{name}": one for name, one in PICTURES.items()}))
    found = brought(tmp_path / table, tmp_path / "room", place)
    assert [(label, source) for _, label, source in found] == [("cat", table), ("dog", table)]
    batches = list(inputs.images(str(tmp_path / table), place))
    assert [data for batch in batches for _, data in batch] == [PICTURES["cat/0.png"], PICTURES["dog/1.png"]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_kind_of_image_is_decoded_by_its_content(kind: str, mode: str) -> None:
    from luodi.data import image

    drawing = images.drawing(3).convert(mode)
    data = images.encoded(drawing, kind)
    assert image_files.kind(data[: image_files.HEAD]) == kind
    opened = image.open_image(data, 100)
    assert opened.size == (28, 28) and opened.mode in image.MODES
    exact = kind in ("PNG", "BMP", "TIFF") or (kind, mode) == ("GIF", "L")
    if exact:
        assert image.canonical(opened, 28, 28, 3).tobytes() == drawing.convert("RGB").tobytes()


def test_of_a_gif_the_first_frame_is_taken() -> None:
    from luodi.data import image

    moving = images.encoded(images.drawing(1), "GIF", save_all=True, append_images=[images.drawing(2)])
    assert image.canonical(image.open_image(moving, 100), 28, 28, 1).tobytes() == images.drawing(1).tobytes()


@pytest.mark.parametrize("form", [b"VP8X", b"VP8L", b"VP8 "])
def test_a_webp_that_says_it_is_huge_costs_no_memory(form: bytes) -> None:
    from luodi.data import image

    sides = {b"VP8X": b"\xfe\x3f\x00" * 2, b"VP8L": b"\xff\xff\xff\xff\xff", b"VP8 ": b"\xff\x3f" * 2}[form]
    start = {b"VP8X": 24, b"VP8L": 21, b"VP8 ": 26}[form]
    data = (b"RIFF\x60\0\0\0WEBP" + form + b"\x50\0\0\0").ljust(start, b"\0") + sides
    with pytest.raises(image.Unfit, match=image.TOO_LARGE):
        image.open_image(data.ljust(104, b"\0"), 10**6)


def link(name: str, target: str, hard: bool = False) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = (tarfile.LNKTYPE if hard else tarfile.SYMTYPE), target
        archive.addfile(entry)
    return sink.getvalue()


def linked_zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        entry = zipfile.ZipInfo("cat/0.png")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.zip", zipped({"../out.png": b"x"}), "leads out of the archive"),
        ("a.zip", zipped({"cat/../../out.png": b"x"}), "leads out of the archive"),
        ("a.zip", zipped({"..\\out.png": b"x"}), "leads out of the archive"),
        ("a.tar", tarred({"/tmp/out.png": b"x"}), "leads out of the archive"),
        ("a.tar", tarred({"../out.png": b"x"}), "leads out of the archive"),
        ("a.tar", link("cat/0.png", "/etc/passwd"), "is no regular file but a link"),
        ("a.tar", link("cat/0.png", "/etc/passwd", hard=True), "is no regular file but a link"),
        ("a.zip", linked_zip(), "is no regular file but a link"),
        ("a.tar", tarred({"a": b"x", "a/b.png": b"x"}), "holds a/b.png twice"),
        ("a.zip", zipped({"cat/0.png": bytes(2**20)}), "unpacks to more than 200 times its size"),
        ("a.tar.gz", tarred({"cat/0.png": bytes(2**20)}, "w:gz"), "unpacks to more than 200 times its size"),
        ("a.zip", b"PK\x05\x06", "cannot be unpacked"),
    ],
)
def test_an_archive_made_to_do_harm_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, said: str
) -> None:
    monkeypatch.setattr(packed, "FLOOR", 2**16)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / name).write_bytes(content)
    with pytest.raises(BrokenData, match=said):
        brought(tmp_path / "x" / name, tmp_path / "x" / "room")
    assert sorted(path.name for path in tmp_path.rglob("*") if "room" not in path.parts) == sorted([name, "x"])


def test_names_of_a_zip_from_windows_in_china_are_read(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for label in ("猫咪", "狗狗"):
            archive.writestr(f"{label}/0.png", images.png(1))
    content = sink.getvalue()
    for label in ("猫咪", "狗狗"):
        content = content.replace(label.encode(), label.encode("gbk").ljust(6, b"_"))
    flags = content.replace(b"\x14\x00\x00\x08", b"\x14\x00\x00\x00")
    (tmp_path / "a.zip").write_bytes(flags)
    assert [label for _, label, _ in brought(tmp_path / "a.zip", tmp_path / "room")] == ["狗狗__", "猫咪__"]


@pytest.mark.parametrize("name", ["gone.zip", "gone.tar.gz", "gone", "gone.csv", "a.csv/gone.zip"])
def test_what_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_bytes(COMMAS)
    with pytest.raises(MissingData, match=f"{name} is not a f"):
        brought(tmp_path / name, tmp_path / "room")


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        (
            "path,label\ngone.png,cat\n",
            r"line 2: no image gone.png in .*; correct it, or name its folder with --images",
        ),
        ("path,label\n../out.png,cat\n", "leads out of"),
        ("path,label\n/etc/passwd,cat\n", "leads out of"),
        (f"path,label\n{'x' * 5000},cat\n", "no image x"),
    ],
)
def test_a_path_that_leads_nowhere_or_out_is_named(tmp_path: Path, listing: str, said: str) -> None:
    (tmp_path / "out.png").write_bytes(images.png(1))
    place = images.folder(tmp_path, {**PICTURES})
    (tmp_path / "labels.csv").write_text(listing)
    with pytest.raises(BrokenData, match=said):
        brought(tmp_path / "labels.csv", tmp_path / "room", place)


def test_no_encoding_is_taken_for_another() -> None:
    """Cuts of every size: what is told is right, or it is asked for."""
    samples = {"gb18030": CHINESE, "big5": TAIWANESE, "cp1252": WESTERN, "cp1250": POLISH, "cp1251": RUSSIAN,
               "cp932": JAPANESE, "euc_jp": JAPANESE, "euc_kr": KOREAN, "utf-8": CHINESE}  # fmt: skip
    for encoding, rows in samples.items():
        for start in range(len(rows)):
            text = csv(rows[start:])
            try:
                found = encodings.detect(io.BytesIO(text.encode(encoding)), "x")
            except BrokenData:
                continue
            assert text.encode(encoding).decode(found) == text, (encoding, start)


def test_links_in_a_folder_stay_what_they_were(tmp_path: Path) -> None:
    place = images.folder(tmp_path, PICTURES)
    (place / "dog" / "usr").symlink_to("/usr")
    with pytest.raises(BrokenData, match="a link that leads out of"):
        brought(place, tmp_path / "room")


def test_a_picture_is_what_its_bytes_say() -> None:
    assert image_files.kind(b"BMI is high, they say, and on") is None
    assert image_files.kind(images.encoded(Image.new("L", (3, 3)), "BMP")[: image_files.HEAD]) == "BMP"
