"""Advice that works: a fault is made, its message read, done what it says, and what failed then works.

A case without a remedy of its own is one whose message names commands: they are taken from between its backquotes, run
as they stand, in the order they stand in. `says` are words of one message in the source; a test holds that every
message there has a case here, or a reason why not.
"""

import ast
import fcntl
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from project import ROOT, Done, Project, full_params

from luodi import config, errors, files
from luodi.config import locked
from luodi.data import (
    builtin_datasets,
    class_folders,
    columns,
    documents,
    image,
    image_files,
    importing,
    inputs,
    pictures,
    shards,
    split_rows,
    statistics,
    tables,
)
from luodi.data.labels import Labels
from luodi.data.text import Encoder
from luodi.local import checkout
from luodi.project import commits, data_pointer, dvc_settings, fingerprints, graph, locks, programs, workspace
from luodi.project.origin import Origin
from luodi.project.paths import find_root
from luodi.project.workspace import Workspace
from luodi.registry import promotion, pushing, tags
from luodi.scaffold import adding, appending, init, pipeline, removing, splitting, telling
from luodi.scoring import scored as rows
from luodi.system import processes
from luodi.system.processes import Runner

PARAMS = full_params()
QUIET = Runner(lambda line: None)


class Scene:
    """A folder to make faults in, with the settings of a project; `other` is what the remedy did it with instead."""

    lock: IO[str]  # of `occupied`

    def __init__(self, root: Path) -> None:
        self.root = root
        self.other: Any = None
        self.message = ""
        self.commands: list[str] = []

    def write(self, name: str, content: Any = b"") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def move(self, name: str, to: str) -> None:
        (self.root / to).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).rename(self.root / to)

    def change(self, name: str, *pairs: tuple[str, str]) -> None:
        text = (self.root / name).read_text(encoding="utf-8")
        for before, after in pairs:
            assert before in text
            text = text.replace(before, after, 1)
        self.write(name, text)

    def shell(self, command: str) -> str:
        done = subprocess.run(
            command,
            shell=True,
            executable="/bin/bash",
            cwd=self.root,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, f"`{command}` ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def do(self, command: str) -> None:
        """Run a command that a message names."""
        if command.startswith("luodi "):
            luodi(*command.split()[1:])(self)
        else:
            self.shell(command)


Act = Callable[[Scene], object]
Reading = Callable[[Scene], list[importing.Row]]


@dataclass(frozen=True)
class Case:
    says: str
    fault: Act
    do: Act
    remedy: Act | None = None


def luodi(*arguments: str) -> Act:
    """A command of luodi, in this process."""

    def run(scene: Scene) -> None:
        from luodi.cli.commands import app

        app(list(arguments), standalone_mode=False)

    return run


def both(*acts: Act) -> Act:
    return lambda scene: [act(scene) for act in acts]


def write(name: str, content: Any = b"") -> Any:
    return lambda scene: scene.write(name, content)


def move(name: str, to: str) -> Act:
    return lambda scene: scene.move(name, to)


def change(name: str, *pairs: tuple[str, str]) -> Act:
    return lambda scene: scene.change(name, *pairs)


def shell(command: str) -> Act:
    return lambda scene: scene.shell(command)


def instead(other: Any) -> Act:
    """The remedy is to do it with something else."""
    return lambda scene: setattr(scene, "other", other)


def picture(mode: str = "L", kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (8, 8)).save(file, kind)
    return file.getvalue()


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def scans(scene: Any) -> Any:
    return list(pictures.images(in_folders(scene.root / (scene.other or "scans"))))


def in_folders(folder: Path) -> Any:
    return class_folders.labelled(folder, pictures.IMAGES, folder.name, Labels())[0]


def texts(name: str, *, wanted: columns.Wanted = columns.NOTHING, labels: dict[str, str] | None = None) -> Reading:
    """Read a table; what is done instead says how it is to be read, or names another."""

    def read(scene: Scene) -> list[importing.Row]:
        other = {"name": name, "given": tables.PLAIN, "wanted": wanted, "labels": labels or {}} | (scene.other or {})
        found, names = tables.look(scene.root / other["name"], other["given"]), Labels(other["labels"])
        rows = list(importing.texts(found, columns.choose_columns(found, other["wanted"]), names))
        names.told()
        return rows

    return read


def documented(
    scene: Scene, name: str, label: str | None = None, pattern: str = "", encoding: str | None = None
) -> object:
    (room := scene.root / "room").mkdir(exist_ok=True)
    wanted = columns.Wanted(label=label, pattern=pattern)
    return documents.opened(scene.root / name, tables.Given(encoding), wanted, Labels(), room)


def counted(scene: Scene) -> statistics.Traits:
    """The rows of new/train.csv, if it is there, with one more, and of new/test.csv."""
    seen = statistics.Traits()
    rows = [importing.Row("e", "x", "train")]
    for path in sorted((scene.root / "new").iterdir()):
        found = tables.look(path)
        rows += importing.texts(found, columns.choose_columns(found, columns.NOTHING), None, path.stem)
    seen.add(importing.Batch(0, rows))
    return seen


def unpacked_by(group: str) -> Act:
    given: dict[str, Any] = {"given": tables.PLAIN, "wanted": columns.Wanted(groups=(group,)), "labels": Labels()}
    return lambda scene: pictures.pictures(scene.root / "scans", None, scene.root, **given)


def unpacked(scene: Any) -> Any:
    room = scene.root / "room"
    shutil.rmtree(room, ignore_errors=True)
    given: dict[str, Any] = {"given": tables.PLAIN, "wanted": columns.NOTHING, "labels": Labels()}
    return pictures.pictures(scene.root / (scene.other or "scans.tar"), None, room, **given)


def listed(scene: Scene) -> object:
    found = tables.look(scene.root / "labels.csv")
    folder = scene.root / (scene.other or ".")
    return pictures.listed_images(found, folder, columns.Wanted("path", "label"), room=scene.root)


def zipped(**files: bytes | str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return sink.getvalue()


def shown(source: str) -> Act:
    return lambda scene: list(inputs.images(str(scene.root / (scene.other or source))))


def digits(scene: Scene) -> object:
    return shards.read(scene.root / "data" / "digits", "image")


IMPORTED = "frozen: true\ndeps:\n- path: data\n  repo: {url: ../other}\nouts:\n- md5: d41d8cd9.dir\n  path: data\n"
POINTER = write("data.dvc", (ROOT / "data.dvc").read_bytes())
ONE, ZERO = "scans/zero/0.png", "scans/one/1.png"
CLASSES = both(write(ONE, picture()), write(ZERO, picture()))


PACKED = shell("rm -f scans.tar && tar cf scans.tar scans")


def huge(scene: Scene) -> None:
    with scene.write("scans/zero/huge.png").open("r+b") as file:
        file.truncate(image_files.LARGEST + 1)


DATA = [
    Case(
        "is a class that only the rows of",
        write("new/test.csv", "text,label\na,x\nb,y\n"),
        lambda scene: splitting.of(counted(scene), scene.root / "new"),
        write("new/train.csv", "text,label\nc,x\nd,y\n"),
    ),
    Case(
        "texts for each class; found",
        write("new/dev.csv", "text,label\na,x\n"),
        lambda scene: documented(scene, "new"),
        write("new/train.csv", "text,label\nb,x\n"),
    ),
    Case(
        "holds no folder with {_a(",
        both(write("new/one/1.csv", "a"), write("new/two/1.csv", "a")),
        lambda scene: documented(scene, "new"),
        write("new/one/1.txt", "a"),
    ),
    Case(
        "is of tables, and",
        write("new/one/1.txt", "a"),
        lambda scene: documented(scene, "new", *([] if scene.other else ["label"])),
        instead("plain"),
    ),
    Case(
        "--group-pattern looks at the paths of files",
        write("new/train.csv", "text,label\nb,x\n"),
        lambda scene: documented(scene, "new", pattern="" if scene.other else "a"),
        instead("plain"),
    ),
    Case(
        "expected one array of objects, found",
        write("new.json", '{"a": [{"text": "x", "label": "y"}], "b": [{"text": "z", "label": "y"}]}'),
        texts("new.json"),
        write("new.json", '[{"text": "x", "label": "y"}]'),
    ),
    Case(
        "correct it, or name its folder with --images",
        both(CLASSES, write("labels.csv", "path,label\none/99.png,one\n")),
        listed,
        change("labels.csv", ("one/99", "one/1")),
    ),
    Case(
        "or name the folder that it starts from with --images",
        both(CLASSES, shell("cp -r scans older"), write("labels.csv", "path,label\none/1.png,one\n")),
        listed,
        instead("scans"),
    ),
    Case(
        "put the image itself there",
        both(CLASSES, write("labels.csv", "path,label\n../out.png,one\n"), write("out.png", picture())),
        lambda scene: listed(scene) if scene.other else (instead("scans")(scene), listed(scene)),
        both(shell("mv out.png scans/out.png"), change("labels.csv", ("../out", "out"))),
    ),
    Case("cannot be unpacked", write("scans.tar", b"x" * 600), unpacked, both(CLASSES, PACKED)),
    Case(
        "pack it again without",
        both(CLASSES, shell("ln -s 1.png scans/one/2.png && tar cf scans.tar scans")),
        unpacked,
        both(shell("rm scans/one/2.png"), PACKED),
    ),
    Case(
        "leads out of the archive",
        both(CLASSES, shell("tar cPf scans.tar scans/../scans")),
        unpacked,
        PACKED,
    ),
    Case(
        "twice: pack it again",
        both(CLASSES, shell("tar cf scans.tar scans && tar rf scans.tar scans")),
        unpacked,
        PACKED,
    ),
    Case(
        "times its size: expected real data",
        both(CLASSES, shell("truncate -s 3G huge && tar cf - huge scans --sparse | gzip > scans.tar.gz && rm huge")),
        lambda scene: unpacked(scene) if scene.other else (instead("scans.tar.gz")(scene), unpacked(scene)),
        both(shell("mkdir out && gunzip < scans.tar.gz | tar x -C out && rm out/huge"), instead("out")),
    ),
    Case("holds no folder with {_a(kind", shell("mkdir scans"), scans, CLASSES),
    Case(
        "is not a folder: give one",
        both(CLASSES, write("scans.zip")),
        lambda scene: in_folders(scene.root / (scene.other or "scans.zip")),
        instead("scans"),
    ),
    Case(
        "is not UTF-8: rename the folder",
        both(CLASSES, shell("mv scans/one $'scans/\\xff'")),
        scans,
        shell("mv $'scans/\\xff' scans/one"),
    ),
    Case(
        "is a link that leads nowhere",
        both(CLASSES, shell("ln -s gone scans/one/2.png")),
        scans,
        shell("rm scans/one/2.png"),
    ),
    Case(
        "is a link that leads out of",
        both(CLASSES, write("out.png", picture()), shell("ln -s ../../out.png scans/one/2.png")),
        scans,
        shell("cp --remove-destination out.png scans/one/2.png"),
    ),
    Case(
        "is not a regular file: expected {what}",
        both(CLASSES, shell("mkfifo scans/one/2.png")),
        scans,
        shell("mv scans/one/2.png ."),
    ),
    Case("is too large: expected {what}", both(CLASSES, huge), scans, move("scans/zero/huge.png", "huge.png")),
    Case(
        "more fields than the header names",
        write("new.csv", "text,label\na,b,c\n"),
        texts("new.csv"),
        write("new.csv", 'text,label\n"a,b",c\n'),
    ),
    Case(
        "expected a text in quotes",
        write("new.jsonl", '{"text": 5, "label": "a"}\n'),
        texts("new.jsonl"),
        write("new.jsonl", '{"text": "5", "label": "a"}\n'),
    ),
    Case(
        "expected one label, in quotes",
        write("new.jsonl", '{"text": "5", "label": {"a": 1}}\n'),
        texts("new.jsonl"),
        write("new.jsonl", '{"text": "5", "label": "a"}\n'),
    ),
    Case(
        "found a list of labels",
        write("new.jsonl", '{"text": "5", "label": ["a", "b"]}\n'),
        texts("new.jsonl"),
        write("new.jsonl", '{"text": "5", "label": "a"}\n'),
    ),
    Case(
        "which no row has for a label",
        write("new.csv", "text,label\na,0\n"),
        texts("new.csv", labels={"O": "negative"}),
        instead({"labels": {"0": "negative"}}),
    ),
    Case(
        "give the others another name",
        write("new.csv", "text,label,label\na,b,c\n"),
        texts("new.csv"),
        change("new.csv", ("label,label", "label,another")),
    ),
    Case(
        "cannot tell the column of the",
        write("new.csv", "a,b,c\nd,e,f\n"),
        texts("new.csv", wanted=columns.Wanted(label="c")),
        instead({"wanted": columns.Wanted("a", "c")}),
    ),
    Case(
        "expected a column or key",
        write("new.csv", "texts,label\na,b\n"),
        texts("new.csv", wanted=columns.Wanted("text")),
        change("new.csv", ("texts", "text")),
    ),
    Case(
        "convert it, or rename it",
        write("new.doc", "text,label\na,b\n"),
        texts("new.doc"),
        both(move("new.doc", "new.csv"), instead({"name": "new.csv"})),
    ),
    Case(
        "is not a file: give a table",
        write("new.csv", "text,label\na,b\n"),
        texts("gone.csv"),
        instead({"name": "new.csv"}),
    ),
    Case(
        "is no file of this machine: bring it here first",
        write("new.csv", "text,label\na,b\n"),
        texts("s3://bucket/new.csv"),
        instead({"name": "new.csv"}),
    ),
    Case(
        "expected an archive of one table",
        write("new.zip", zipped(**{"a.csv": "text,label\na,b\n", "b.csv": "x"})),
        texts("new.zip"),
        both(shell("python -m zipfile -e new.zip ."), instead({"name": "a.csv"})),
    ),
    Case(
        "divide its rows: name which",
        write("new.csv", "text;label,x\na;b,c\n"),
        texts("new.csv"),
        instead({"given": tables.Given(delimiter=","), "wanted": columns.Wanted("text;label", "x")}),
    ),
    Case(
        "expected a JSON object",
        write("new.jsonl", "text\n"),
        texts("new.jsonl"),
        write("new.jsonl", '{"text": "a", "label": "b"}\n'),
    ),
    Case(
        "expected an array of objects",
        write("new.json", "[text]"),
        texts("new.json"),
        write("new.json", '[{"text": "a", "label": "b"}]'),
    ),
    Case(
        "; correct that line",
        write("new.csv", 'text,label\n"a,b,c\n'),
        texts("new.csv"),
        write("new.csv", 'text,label\n"a,b",c\n'),
    ),
    Case(
        "; {remedy}",
        write("new.parquet", parquet(text=[1], label=["a"])),
        texts("new.parquet"),
        write("new.parquet", parquet(text=["1"], label=["a"])),
    ),
    Case(
        "): write it again",
        write("new.parquet", b"text"),
        texts("new.parquet"),
        write("new.parquet", parquet(text=["1"], label=["a"])),
    ),
    Case(
        "name its encoding, for example",
        write("new.csv", "text,label\n很,a\n".encode("gbk")),
        texts("new.csv"),
        instead({"given": tables.Given("gb18030")}),
    ),
    Case(
        "those that are UTF-8 are read as that",
        both(write("new/a/1.txt", "很".encode("gbk")), write("new/b/1.txt", "é".encode())),
        lambda scene: documented(scene, "new", encoding=scene.other),
        instead("gb18030"),
    ),
    Case(
        "holds no row: expected at least one",
        write("new.csv", "text,label\n"),
        lambda scene: list(importing.batches(iter(texts("new.csv")(scene)), "new.csv")),
        write("new.csv", "text,label\na,b\n"),
    ),
    Case("is not a file or folder: give an image", CLASSES, shown("scan"), instead("scans")),
    Case("no image in", shell("mkdir scans"), shown("scans"), CLASSES),
    Case(
        "; convert it",
        write("scan.jpg", picture("CMYK", "JPEG")),
        lambda scene: image.open_image((scene.root / "scan.jpg").read_bytes(), 8),
        write("scan.jpg", picture()),
    ),
    Case("no *.parquet in", POINTER, digits, lambda scene: scene.do("luodi fetch")),
    Case(
        "hold no row: expected at least one",
        write(
            "data/digits/a.parquet",
            parquet(image=pa.array([], pa.binary()), label=pa.array([], pa.string()), source=pa.array([], pa.string())),
        ),
        digits,
        write("data/digits/b.parquet", parquet(image=[b"1"], label=["1"], source=["s"])),
    ),
    Case(
        "preprocess.split in params.yaml, or write",
        both(
            write("data/digits/a.parquet", parquet(image=[b"1"], label=["1"], source=["s"])),
            write("data/digits/b.parquet", parquet(image=[b"1"], label=["1"], source=["s"], writer=["w"])),
        ),
        lambda scene: shards.read(scene.root / "data" / "digits", "image", [scene.other or "writr"]),
        instead("writer"),
    ),
    Case(
        "of the folders below those of the classes",
        CLASSES,
        lambda scene: unpacked_by(scene.other or "writer")(scene),
        instead("folder"),
    ),
    Case(
        "; write it again with them",
        write("data/digits/a.parquet", parquet(image=[b"1"])),
        digits,
        write("data/digits/a.parquet", parquet(image=[b"1"], label=["1"], source=["s"])),
    ),
    Case(
        "is of an embedded dataset",
        both(POINTER, write("data/digits/scikit-learn.parquet", b"x")),
        digits,
        lambda scene: scene.do(scene.commands[1]),
    ),
    Case(
        "no embedded dataset",
        lambda scene: None,
        lambda scene: luodi("fetch", scene.other or "digit")(scene),
        instead("digits"),
    ),
    Case(
        "fetch it without --from",
        lambda scene: None,
        lambda scene: luodi("fetch", "digits", *(["--from", "."] if scene.other is None else scene.other))(scene),
        instead([]),
    ),
    Case(
        "is not a gzip file, or is cut short",
        write("x.gz", b"x"),
        lambda scene: idx(scene.root / "x.gz"),
        lambda scene: write_idx(scene.root / "x.gz"),
    ),
    Case(
        "expected an IDX file of",
        lambda scene: write_idx(scene.root / "x.gz", more=b"x"),
        lambda scene: idx(scene.root / "x.gz"),
        lambda scene: write_idx(scene.root / "x.gz"),
    ),
    Case(
        "expected 2 to",
        both(write(ONE, picture())),
        lambda scene: telling.require_labels(seen(scene), "scans, folders", "make a folder for each class"),
        write(ZERO, picture()),
    ),
    Case(
        "no image looked at can be used",
        both(write(ONE, b"x"), write(ZERO, b"x")),
        lambda scene: adding.add_images(scene.root, "scans", scene.root / "scans", QUIET),
        CLASSES,
    ),
]


def seen(scene: Any) -> Any:
    from luodi.data import statistics

    found = statistics.Traits()
    for batch in importing.batches(iter(scans(scene)), "scans"):
        found.add(batch)
    return found


def idx(path: Path) -> object:
    return builtin_datasets._idx(path, (2,))


def write_idx(path: Path, more: bytes = b"") -> None:
    import gzip
    import struct

    path.write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 2) + b"ab" + more))


def load(scene: Any) -> Any:
    return config.load(scene.root / "params.yaml")


def wrong(says: str, *pairs: tuple[str, str], remedy: Act | None = None) -> Case:
    """A fault of params.yaml that is mended by writing what was there."""
    return Case(says, change("params.yaml", *pairs), load, remedy or shell("git checkout -q params.yaml"))


def near(scene: Scene) -> None:
    """Write the word that the message suggests."""
    (found,) = re.findall(r"unknown key \S+\.(\w+); did you mean '(\w+)'", scene.message)
    scene.change("params.yaml", found)


def adding_scans(scene: Scene) -> None:
    with adding._adding(scene.root, scene.other or "digits2"):
        pass


GRAPH = write("dvc.yaml", (ROOT / "dvc.yaml").read_bytes())


def renaming(scene: Scene) -> None:
    removing.rename(scene.root, "reviews", scene.other, QUIET)


def in_flow_style() -> str:
    import yaml

    return yaml.safe_dump(yaml.safe_load(PARAMS), default_flow_style=True, width=10**6, allow_unicode=True)


def occupied(scene: Scene) -> None:
    scene.lock = scene.write(".luodi/adding.lock").open("w")
    fcntl.flock(scene.lock, fcntl.LOCK_EX)


def extended(scene: Scene) -> bytes:
    text = (scene.root / "params.yaml").read_text(encoding="utf-8")
    if "flow style" in text:  # a block style is wanted
        scene.write("params.yaml", in_flow_style())
    block = config.read(scene.root / "params.yaml")["models"]["digits"]
    scene.write("staging/x")
    return appending.extended(scene.root / "params.yaml", "more", block, scene.root / "staging")


def current(scene: Any) -> None:
    """What each stage asks before it starts."""
    fingerprints.require_current(scene.root, "train", "text")
    locked.require_current(scene.root, load(scene), "reviews")


def graph_updated(scene: Scene) -> str:
    return pipeline.updated(pipeline.read(scene.root), ["reviews"])


PROJECT = [
    Case(
        "does not hold the settings of",
        change("params.yaml", ("epochs: 12", "epochs: 13")),
        current,
        lambda scene: scene.do(scene.commands[1]),
    ),
    Case("{root / 'dvc.yaml'} {error}", shell("rm dvc.yaml"), graph_updated),
    Case(
        "or write it with `luodi upgrade`", shell("rm luodi.lock"), current, lambda scene: scene.do(scene.commands[1])
    ),
    Case("expected a mapping `stages:`, found none; {remedy", write("luodi.lock", "luodi: '0.1.0'\n"), current,
         lambda scene: scene.do(scene.commands[1])),
    Case("than is installed", shell("sed -i 's/keras: .*/keras: 3.0.0/' luodi.lock"), current),
    Case("is not YAML ({shown", write("dvc.yaml", "stages: ["), graph_updated, shell("git checkout -q dvc.yaml")),
    Case("expected a mapping, found none", write("dvc.yaml", "- a\n"), graph_updated),
    Case(
        "expected a mapping `stages:`; restore it",
        write("dvc.yaml", "stages: []\n"),
        graph_updated,
        lambda scene: scene.do(scene.commands[-1]),
    ),
    Case("is no mapping: restore it", write("dvc.yaml", "stages: {train: 3}\n"), graph_updated),
    Case(
        "has a block {missing[0]}, and dvc.yaml has no such stage",
        change("params.yaml", ("modality: text", "modality: text\n    tune: {trials: 3}")),
        luodi("settings"),
        lambda scene: scene.do(scene.commands[0]),
    ),
    Case(
        "already: choose another folder",
        lambda scene: None,
        lambda scene: init.init(scene.other or scene.root, Runner(print)),
        lambda scene: instead(scene.root / "another")(scene),
    ),
    Case(
        "holds files of the git repository",
        both(write("ml/a.py"), shell("git add ml")),
        lambda scene: init.init(scene.other or scene.root / "ml", Runner(print)),
        lambda scene: instead(scene.root.parent / "another")(scene),
    ),
    Case(
        "which has none yet: `luodi add` adds one",
        write("params.yaml", "models: {}\n"),
        lambda scene: config.settings_of(load(scene), "reviews"),
        write("params.yaml", PARAMS),
    ),
]  # fmt: skip

SETTINGS = [
    wrong("unknown key {place}{_suggest", ("epochs:", "epoch:"), remedy=near),
    wrong("did you mean 'modality'?", ("modality: text", "modalty: text"), remedy=near),
    wrong("is missing{more}", ("    labels: [negative, positive]\n", "")),
    wrong(".modality is missing", ("    modality: text\n", "")),
    wrong(".modality: {expected}", ("modality: text", "modality: texts")),
    wrong(": {first", ("epochs: 12", "epochs: many")),
    wrong("is not YAML in UTF-8", ("models:", "models: [")),
    wrong("is not the same to every reader of YAML", ("owner: luodi", "owner: 010")),
    wrong("is no text: put it in quotes", ("    owner: luodi", "    2020: luodi")),
    wrong("stands twice", ("    owner: luodi", "    owner: luodi\n    owner: me")),
    wrong("labels must be distinct", ("[negative, positive]", "[negative, negative]")),
    wrong("expected a cron expression", ("@weekly", "weekly"), remedy=change("params.yaml", ("weekly", "0 3 * * 1"))),
    wrong("is above max_length", ("min_length: 1\n", "min_length: 6000\n")),
    wrong("is above max_side", ("min_side: 8\n", "min_side: 9999\n")),
    wrong("is above max_intensity", ("min_intensity: 0.05\n", "min_intensity: 0.99\n")),
    wrong("is no label of this model", ("unproven: []", "unproven: [neutral]")),
    wrong("must sum to 1", ("train: 0.8,", "train: 0.7,")),
    wrong("newest and column go together", ("split: {by: [], ", "split: {newest: 28d, by: [], ")),
    wrong(
        "must differ, found",
        (
            "shares: {train: 0.8, validation: 0.1, test: 0.1}",
            "shares: {train: 1.0, validation: 0.0, test: 0.0}\n      test_source: x\n      validation_source: x",
        ),
    ),
    wrong("must be 0 where test_source", ("    preprocess:\n", "    preprocess:\n      test_source: test\n")),
    wrong(
        "must be 0 where validation_source", ("    preprocess:\n", "    preprocess:\n      validation_source: val\n")
    ),
    wrong(
        "which tokenizer ngram drops",
        ("architecture: ngram", "architecture: cnn"),
        remedy=change("params.yaml", ("tokenizer: ngram", "tokenizer: char")),
    ),
    wrong(
        "would fit the model on them too",
        ("    gate:\n", "    compress: {}\n    gate:\n"),
        ("all_rows: false", "all_rows: true"),
        remedy=change("params.yaml", ("all_rows: true", "all_rows: false")),
    ),
    wrong(
        "cannot be shared by",
        ("architecture: ngram", "architecture: transformer"),
        ("tokenizer: ngram", "tokenizer: char"),
        remedy=change("params.yaml", ("embedding: 2", "embedding: 64")),
    ),
    Case("does not exist: restore it", shell("rm params.yaml"), load),
    Case(
        "no model '{shown(name",
        lambda scene: None,
        lambda scene: config.settings_of(load(scene), scene.other or "review"),
        lambda scene: instead(re.findall("did you mean '(.*)'", scene.message)[0])(scene),
    ),
    Case(
        ": expected lower-case letters, digits, - and _, at most 100",
        lambda scene: None,
        lambda scene: config.require_name(scene.other or "A b"),
        instead("a-b"),
    ),
    Case(
        "run luodi inside a checkout",
        lambda scene: None,
        lambda scene: find_root(scene.other or scene.root.parent),
        lambda scene: instead(scene.root / "dags")(scene),
    ),
    Case("has a model {name} already", instead("digits"), adding_scans, instead("digits3")),
    Case("move it away, and add again", write("data/digits2/a.parquet"), adding_scans, move("data/digits2", "away")),
    Case("has a model {new} already", both(GRAPH, instead("digits")), renaming, instead("digits3")),
    Case(
        "move it away, and rename again",
        both(GRAPH, instead("letters"), write("data/letters/a.parquet")),
        renaming,
        move("data/letters", "away"),
    ),
    Case(
        "cannot be changed without changing",
        both(GRAPH, lambda scene: scene.write("params.yaml", in_flow_style())),
        lambda scene: removing.retire(scene.root, "digits", QUIET, data=False),
        shell("git checkout -q params.yaml"),
    ),
    Case("another `luodi add`, `ingest`", occupied, adding_scans, lambda scene: scene.lock.close()),
    Case("is away, though {pointer", write("data.dvc", "outs: []\n"), adding_scans, shell("mkdir data && rm data.dvc")),
    Case(
        "no block can be appended",
        write("params.yaml", "models: {}\n# in flow style\n"),
        extended,
        shell("git checkout params.yaml"),
    ),
]


def cleaned(scene: Scene) -> object:
    return checkout.clean_commit(scene.root, QUIET)


def origin(scene: Scene) -> Origin:
    return Origin(str(scene.root.parent / "origin.git"), "main", None, scene.root.parent)


def clone(scene: Scene) -> Workspace:
    return Workspace(scene.root, origin(scene), QUIET, scene.root / ".dvc" / "cache")


def bare(scene: Scene) -> None:
    scene.shell("git init -q --bare -b main ../origin.git")


def cloned(scene: Scene) -> None:
    with workspace.clone(origin(scene), scene.shell("git rev-parse HEAD").strip(), QUIET):
        pass


def anonymous(scene: Scene) -> None:
    scene.write(".git/config", "[core]\nrepositoryformatversion = 0\n")
    Path(os.environ["GIT_CONFIG_GLOBAL"]).write_text("")


def declining(scene: Scene) -> None:
    bare(scene)
    scene.shell(
        "git remote add origin ../origin.git; printf '#!/bin/sh\\nexit 1\\n' > ../origin.git/hooks/pre-receive; "
        "chmod +x ../origin.git/hooks/pre-receive"
    )


GIT = [
    Case("holds ({', '.join(changed[:5])}): commit or stash", write("notes.txt", "x"), cleaned),
    Case(
        "into .gitignore",
        both(
            write(".gitignore", "/artifacts\n"),
            shell("git commit -qam 'Old ignores'"),
            write("dvc_plots/index.html", "x"),
        ),
        cleaned,
        both(write(".gitignore", "/artifacts\n/dvc_plots/\n"), shell("git commit -qam Ignore")),
    ),
    Case(
        "is not a dvc.lock",
        both(
            write("dvc.lock", "stages: {}\n"),
            shell("git add -f dvc.lock; git commit -qm Lock"),
            write("dvc.lock", "<<<<<<< HEAD\nstages:\n=======\n"),
        ),
        lambda scene: locks.read(scene.root / "dvc.lock"),
        lambda scene: scene.do(scene.commands[0]),
    ),
    Case(
        "{pointer} {error}: restore it",
        both(POINTER, shell("git add -f data.dvc; git commit -qm Data"), write("data.dvc", "outs: [")),
        lambda scene: data_pointer.recorded(scene.root / "data.dvc"),
    ),
    Case(
        "is no DVC pointer",
        both(POINTER, shell("git add -f data.dvc; git commit -qm Data"), write("data.dvc", "outs: []")),
        lambda scene: data_pointer.recorded(scene.root / "data.dvc"),
        lambda scene: scene.do(scene.commands[-1]),
    ),
    Case(
        "from DVC: no commit holds these rows",
        both(POINTER, write("data/reviews/old.parquet", "PAR1"), write(".dvcignore", "old.parquet\n")),
        lambda scene: data_pointer.verify(scene.root / "data", scene.root / "data.dvc"),
        shell("rm .dvcignore && dvc add --quiet data"),
    ),
    Case(
        "is an import (`dvc import`",
        both(write("data/reviews/0.csv", "a"), write("data.dvc", IMPORTED)),
        lambda scene: data_pointer.require_own(scene.root / "data.dvc"),
        lambda scene: scene.do(scene.commands[-1]),
    ),
    Case(
        "expected a mapping `stages:`",
        write("dvc.yaml", "stages: []"),
        lambda scene: graph.stages(scene.root / "dvc.yaml", "reviews", "text"),
        lambda scene: scene.do(scene.commands[-1]),
    ),
    Case("has no branch", bare, lambda scene: programs.head(origin(scene), QUIET)),
    Case(
        "has no branch",
        both(bare, shell("git remote add origin ../origin.git")),
        lambda scene: promotion._head(clone(scene)),
    ),
    Case(
        "has no commit",
        both(
            bare,
            shell("git push -q ../origin.git HEAD:main; git commit -q --allow-empty -m New"),
        ),
        cloned,
    ),
    Case(
        "git origin {origin.address} cannot be reached",
        lambda scene: None,
        lambda scene: programs.head(origin(scene), QUIET),
        both(bare, shell("git push -q ../origin.git HEAD:main")),
    ),
    Case(
        "DVC's settings cannot hold",
        lambda scene: None,
        lambda scene: dvc_settings.quoted(scene.other or "/a%(x)s"),
        instead("/a"),
    ),
    Case("git does not know who commits", anonymous, lambda scene: promotion._set_identity(clone(scene))),
    Case(
        "git cannot sign the commit of what lands",
        shell("git config --global commit.gpgSign true; git config --global gpg.format ssh"),
        lambda scene: commits.with_entries(clone(scene).git, "HEAD", {}, [], "Land"),
        shell("git config --global commit.gpgSign false"),
    ),
    Case(
        "refuses the push of",
        declining,
        lambda scene: pushing.push(clone(scene), ["HEAD:refs/heads/main"]),
        shell("rm ../origin.git/hooks/pre-receive"),
    ),
    Case(
        "GIT_URL is not set: set it to the URL",
        lambda scene: None,
        lambda scene: Origin.from_environment(),
        lambda scene: os.environ.update(LUODI_GIT_URL=origin(scene).git),
    ),
    Case(
        "no git origin: expected LUODI_GIT_URL",
        lambda scene: None,
        lambda scene: Origin.find(scene.root),
        lambda scene: os.environ.update(LUODI_GIT_URL=origin(scene).git),
    ),
]


def artifact(name: str) -> Callable[[Scene], Path]:
    return lambda scene: scene.root / "artifacts" / "reviews" / name


def scored(scene: Scene) -> object:
    return rows.scored(np.array([0, 1]), np.eye(scene.other or 3)[:2], "model", 2)


def read_rows(split: str = "test", classes: int = 2) -> Act:
    return lambda scene: split_rows.read(artifact("preprocess/rows.parquet")(scene), "text", split, classes)


def select(scene: Any) -> Any:
    from luodi.data import clean_rows

    block = config.settings_of(load(scene), "reviews")
    content = np.arange(100, dtype=np.uint64) * np.uint64(2**64 // 100)
    marks = clean_rows.Marks(content, np.zeros(100, np.int32), np.full(100, 2, np.int8), np.full(100, -1, np.int8))
    return clean_rows.select(marks, block)


def linear(scene: Any) -> Any:
    from luodi.linear import text

    labels, texts = scene.other or ([0, 0], ["好的", "不好"])
    train = split_rows.Rows(texts, np.array(labels, np.int32), ["s", "s"])
    encoder = Encoder(("negative", "positive"), "ngram", 10, 1000, (), ())
    settings: Any = config.settings_of(load(scene), "reviews")
    return text.fit(encoder, train, train, settings.baseline)


FIGURES = [
    Case("expected shape", lambda scene: None, scored, instead(2)),
    Case(
        "no row falls into split",
        change("params.yaml", ("train: 0.8, validation: 0.1, test: 0.1", "train: 1.0, validation: 0.0, test: 0.0")),
        select,
        shell("git checkout -q params.yaml"),
    ),
    Case("train rows hold one class", lambda scene: None, linear, instead(([0, 1], ["好的", "不好"]))),
    Case("no n-gram in the train rows", instead(([0, 1], ["", ""])), linear, instead(([0, 1], ["好的", "不好"]))),
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of which nothing is there but its settings, under git."""
    root = tmp_path_factory.mktemp("plain") / "project"
    for name in (".gitignore", ".dvc/config", "dvc.yaml", "luodi.lock", "params.lock"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (root / "params.yaml").write_text(PARAMS)
    (root / "dags").mkdir()
    identity = "-c user.name=Tester -c user.email=tester@localhost"
    subprocess.run(f"git init -qb main; git add -A; git {identity} commit -qm One", shell=True, cwd=root, check=True)
    return root


@pytest.fixture
def scene(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    root = tmp_path / "project"
    shutil.copytree(plain, root)
    for key in [key for key in os.environ if key.startswith(("LUODI_", "GIT_", "DVC_"))]:
        monkeypatch.delenv(key)
    for key, value in {
        "LUODI_GIT_URL": "", "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT / "src"), "DVC_NO_ANALYTICS": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    (tmp_path / "gitconfig").write_text("[user]\nname = Tester\nemail = tester@localhost\n")
    monkeypatch.chdir(root)
    yield Scene(root)


def mended(case: Case, scene: Scene) -> None:
    """The fault fails, with words of this message; after the remedy it works."""
    case.fault(scene)
    with pytest.raises(errors.LuodiError) as caught:
        case.do(scene)
    scene.message = str(caught.value)
    fixed = re.split(r"\{.*?(?:\}|$)", case.says)
    assert re.search(".*".join(map(re.escape, fixed)), scene.message, re.DOTALL), scene.message
    scene.commands = re.findall(r"`([^`]+)`", scene.message)
    if case.remedy:
        case.remedy(scene)
    else:
        assert scene.commands, scene.message
        for command in scene.commands:
            scene.do(command)
    case.do(scene)


LIGHT = [*DATA, *PROJECT, *SETTINGS, *GIT, *FIGURES]


@pytest.mark.parametrize("case", LIGHT, ids=lambda case: case.says)
def test_the_remedy_works(case: Case, scene: Scene) -> None:
    mended(case, scene)


# What landed


@pytest.fixture(scope="module")
def landed(stocked: Done) -> Project:
    """reviews@v1.0.0 is in production. Do not change it: work in a copy."""
    project = stocked.project.copy("landed-remedies")
    project.run("luodi", "register", "reviews")
    return project


@pytest.fixture
def served(landed: Project, quiet: Runner, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Scene:
    """A copy of one's own; DVC is this process too, where luodi starts it."""
    monkeypatch.setattr(processes, "Runner", lambda tell: quiet)
    project = landed.copy(re.sub(r"\W+", "-", request.node.name))
    for key in [key for key in os.environ if key.startswith(("LUODI_", "GIT_", "DVC_"))]:
        monkeypatch.delenv(key)
    for key, value in project.env.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(project.root)
    return Scene(project.root)


EXPORT, METRICS = "artifacts/reviews/train/export", "artifacts/reviews/evaluate/sample.json"


def store(scene: Scene, kind: str, path: str, name: str = "") -> Path:
    """Where the cache or the remote keeps an output, or the file `name` of a folder."""
    md5 = locks.outputs(locks.read(scene.root / "dvc.lock"), f"{path.split('/')[2]}@reviews")[path]
    if name:
        md5 = next(file["md5"] for file in files.read_json(blob(scene, kind, md5)) if file["relpath"] == name)
    return blob(scene, kind, md5)


def blob(scene: Scene, kind: str, md5: str) -> Path:
    return scene.root / ".luodi" / kind / "files" / "md5" / md5[:2] / md5[2:]


def damage(path: Path) -> None:
    mode = path.stat().st_mode  # by which DVC knows what it looked at already
    path.chmod(0o644)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    path.chmod(mode)


def forget(scene: Scene) -> None:
    """Nothing but the remote has the version's files, until `dvc` of the checkout is asked."""
    shutil.rmtree(scene.root / ".luodi" / "models", ignore_errors=True)


def bring(scene: Scene) -> None:
    """Open the version from the remote alone, as a promotion does."""
    found = Origin.embedded(scene.root)
    version = tags.find(Path(found.git), "reviews", "v1.0.0")
    with tags.opened(found, version, QUIET, "export", "sample", own_cache=True):
        pass


def bring_by_cache(scene: Scene) -> None:
    forget(scene)
    luodi("predict", "reviews", "好")(scene)


def swap_sample(text: str) -> Act:
    def fault(scene: Scene) -> None:
        bring_by_cache(scene)
        scene.write(".luodi/models/reviews@v1.0.0/sample.json", text)

    return fault


PREDICT = luodi("predict", "reviews", "好")
WRONG_SAMPLE = '{"texts": ["好"], "probabilities": [[1.0, 0.0]]}'


def remove_named(scene: Scene) -> None:
    (path,) = re.findall(r"remove (\S+?),? and run it again", scene.message)
    shutil.rmtree(path)


LOST = "the DVC remote cannot be used: {what}"
HEAVY = [
    Case(LOST, lambda scene: damage(store(scene, "remote", EXPORT, "model.onnx")), bring),
    Case("does not match its hash", lambda scene: damage(store(scene, "cache", EXPORT, "model.onnx")), bring_by_cache),
    Case(
        "is in production: `luodi promote",
        shell("git --git-dir .luodi/origin.git tag -d reviews#production#1"),
        PREDICT,
    ),
    Case("the sample of {name} cannot be read", swap_sample("{"), PREDICT, remove_named),
    Case(
        "holds something else than a pulled model",
        write("there/x"),
        lambda scene: luodi("pull", "reviews", scene.other or "there")(scene),
        instead("elsewhere"),
    ),
    Case(
        "at all: `luodi models` lists",
        lambda scene: None,
        lambda scene: luodi("models", "list", *(scene.other or ["hotels"]))(scene),
        both(lambda scene: scene.do(scene.commands[0]), instead(["reviews"])),
    ),
    Case(
        "in the registry; there is",
        lambda scene: None,
        lambda scene: luodi("models", "show", scene.other or "reviews@v9.0.0")(scene),
        lambda scene: instead(re.findall(r"there is: (\S+)", scene.message)[0])(scene),
    ),
    Case(
        "does not exist: run `{maker(path)}` first",
        both(
            lambda scene: shutil.rmtree(artifact("evaluate")(scene)),
            lambda scene: artifact("baseline/scores.npy")(scene).unlink(),
        ),
        luodi("evaluate", "reviews"),
    ),
    Case(
        "does not exist: run `{maker(path)}` first",
        lambda scene: artifact("preprocess/rows.parquet")(scene).unlink(),
        luodi("baseline", "reviews"),
    ),
    Case(
        "holds no row of split",
        lambda scene: None,
        lambda scene: read_rows(scene.other or "tests")(scene),
        instead("test"),
    ),
    Case(
        "expected labels from 0",
        lambda scene: None,
        lambda scene: read_rows("test", scene.other or 1)(scene),
        instead(2),
    ),
    Case(
        "bring back what is missing",
        lambda scene: (scene.root / "data/reviews/slice.parquet").unlink(),
        lambda scene: data_pointer.verify(scene.root / "data", scene.root / "data.dvc"),
        lambda scene: scene.do(scene.commands[0]),
    ),
    Case(
        "no *.parquet in",
        lambda scene: shutil.rmtree(scene.root / "data"),
        lambda scene: shards.read(scene.root / "data" / "reviews", "text"),
        lambda scene: scene.do(scene.commands[0]),
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", HEAVY, ids=lambda case: case.says)
def test_the_remedy_works_where_something_landed(case: Case, served: Scene) -> None:
    mended(case, served)


LONG = [
    Case(LOST, lambda scene: store(scene, "remote", EXPORT, "model.onnx").unlink(), bring),
    Case(LOST, lambda scene: damage(store(scene, "remote", METRICS)), bring),
    Case("there is no folder", move(".luodi/remote", "away"), bring, move("away", ".luodi/remote")),
    Case(
        "its tag does not say which files",
        shell("git --git-dir .luodi/origin.git tag -a reviews@v0.9.0 main~1 -m x"),
        lambda scene: luodi("pull", scene.other or "reviews@v0.9.0", "there")(scene),
        both(lambda scene: scene.do(scene.commands[0]), instead("reviews@v1.0.0")),
    ),
    Case("does not predict its sample", swap_sample(WRONG_SAMPLE), PREDICT, remove_named),
    Case(
        "cannot be read: run `{maker(path)}` again",
        lambda scene: artifact("baseline/validation.npy")(scene).write_bytes(b"x"),
        luodi("train", "reviews"),
    ),
    Case(
        "cannot be read: run `{maker(path)}` again",
        lambda scene: artifact("baseline/scores.npy")(scene).write_bytes(b"x"),
        luodi("evaluate", "reviews"),
    ),
    Case(
        "cannot be read ({error}): run `{maker(path)}` again",
        lambda scene: artifact("preprocess/rows.parquet")(scene).write_bytes(b"x"),
        luodi("baseline", "reviews"),
    ),
    Case(
        "bring back what is missing",
        write("data/reviews/more.parquet"),
        lambda scene: data_pointer.verify(scene.root / "data", scene.root / "data.dvc"),
        lambda scene: scene.do(scene.commands[2]),
    ),
    Case(
        "is of an embedded dataset",
        write("data/reviews/slice.parquet", b"x"),
        lambda scene: shards.read(scene.root / "data" / "reviews", "text"),
        lambda scene: scene.do(scene.commands[0]),
    ),
    Case(
        "does not exist: run `{maker(path)}` first",
        lambda scene: artifact("validate/clean.parquet")(scene).unlink(),
        luodi("preprocess", "reviews"),
    ),
    Case(
        "does not exist: run `{maker(path)}` first",
        lambda scene: artifact("preprocess/encoder.json")(scene).unlink(),
        luodi("train", "reviews"),
    ),
    Case(
        "does not exist: run `{maker(path)}` first",
        lambda scene: (scene.root / EXPORT / "model.onnx").unlink(),
        luodi("evaluate", "reviews"),
    ),
    Case(
        "is not an encoder",
        lambda scene: artifact("preprocess/encoder.json")(scene).write_text("{"),
        luodi("train", "reviews"),
    ),
    Case(
        "is not a readable ONNX model",
        lambda scene: (scene.root / EXPORT / "model.onnx").write_bytes(b"x"),
        luodi("evaluate", "reviews"),
    ),
    Case(
        "do not belong together",
        lambda scene: scene.change(f"{EXPORT}/encoder.json", ("4096", "4095")),
        luodi("evaluate", "reviews"),
    ),
    Case(
        "was trained on labels",
        both(change("params.yaml", ("[negative, positive]", "[positive, negative]"))),
        luodi("evaluate", "reviews"),
    ),
    Case(
        "training diverged",
        change("params.yaml", ("learning_rate: 0.005", "learning_rate: 1.0e+30")),
        luodi("train", "reviews"),
        lambda scene: scene.change("params.yaml", ("1.0e+30", re.findall(r"example to (\S+)", scene.message)[0])),
    ),
    Case(
        "broke a critical expectation",
        change("params.yaml", ("min_rows: 500", "min_rows: 50000")),
        luodi("validate", "reviews"),
        change("params.yaml", ("min_rows: 50000", "min_rows: 500")),
    ),
    Case(
        "dvc.lock is not of this commit",
        lambda scene: scene.shell("sed -i 's/mistakes: 20/mistakes: 9/' params.yaml; git commit -qam 9"),
        luodi("gate", "reviews"),
    ),
    Case(
        "dvc.lock has no entry of",
        lambda scene: locks.write(
            scene.root / "dvc.lock",
            {
                name: entry
                for name, entry in locks.read(scene.root / "dvc.lock").items()
                if not name.startswith("evaluate")
            },
        ),
        luodi("gate", "reviews"),
    ),
    Case(
        "give --approve",
        both(
            change(
                "params.yaml", ("approval: auto", "approval: human"), ("min_slice_rows: 300", "min_slice_rows: 400")
            ),
            shell("git commit -qam Human; dvc repro -q; rm -rf .luodi/origin.git .luodi/registry.git"),
        ),
        lambda scene: luodi("register", "reviews", *(scene.other or []))(scene),
        instead(["--approve"]),
    ),
]


@pytest.mark.proof
@pytest.mark.parametrize("case", LONG, ids=lambda case: case.says)
def test_the_remedy_works_where_it_takes_long(case: Case, served: Scene) -> None:
    mended(case, served)


# Completeness


USAGE = "a wrong use of the command line: the message says what to write"
INNER = "never shown: a message that is shown takes it up"
AIRFLOW = "takes Airflow a minute; tests/dags has it"
YAML = "it names the line; tests/unit/test_yaml12.py has it"
OWN_CODE = "code of a user's own; tests/unit/config/test_user_code.py tries each"
RACE = "a race: what failed is done again"
TUNING = "tests/unit/config/test_tune_block.py tries each"
CHECKPOINT = "the checkpoint of somebody else is to be got again; tests/unit/pretrained/test_checkpoint.py"
PRETRAINING = "tests/unit/pretrained/test_pretraining.py"
PRESET = "the preset of somebody else is to be got again; tests/unit/pretrained/test_preset.py"
STEM = "the network of somebody else is to be got again; tests/unit/pretrained/test_stem_file.py"
STEM_PRESET = "the preset of somebody else is to be got again; tests/unit/pretrained/test_stem_preset.py"
SERVED = "tests/unit/serving/test_starting.py has it"
SYNCED = "tests/integration/test_sync.py"
DAGS = "tests/dags/test_dags.py"
PLOTTED = "tests/unit/local/test_plots.py"
BULK = "tests/unit/scoring/test_bulk.py"
DATED = "tests/integration/test_predicting_tiny.py"
STORES = "tests/unit/airflow/test_stores.py"
CANARY = "tests/integration/test_canary_tiny.py"
WHY_NOT = {
    "does not fit the encoder": "tests/unit/nets/test_arrays.py",
    "holds both sides of a merge": "tests/integration/test_imported_data.py runs the commands",
    "belongs to another user, and git reads no repository": "tests/integration/test_commits.py",
    "a `dvc` in this checkout reads data/ now (process": "tests/unit/scaffold/test_adding.py",
    "put the file itself in its place, and": "tests/unit/config/test_user_code.py",
    "as it was opened before: where it is to go": "tests/unit/registry/test_classifier.py",
    "DVC would record that what was made is of": "tests/unit/config/test_user_code.py",
    "changed between what was recorded of it and its use": "tests/unit/config/test_user_code.py",
    "expected a new sentence and one below it, indented": "luodi's own table: tests/unit/report/test_language.py",
    "expected a share such as 5% or 0.05": CANARY,
    "a model has one canary: give": CANARY,
    "is in production: a canary is another version, beside it": CANARY,
    "is a canary: nothing to end": CANARY,
    "is a canary: `luodi promote": CANARY,
    "no file of {moment}": DATED,
    "in it, or {date:%Y/%m/%d}, and no other braces": DATED,
    "output: expected a folder apart from that of input": DATED,
    "needs a driver that is not installed here": "tests/unit/tuning/test_study.py",
    "name the request log, or set monitor.log": "tests/integration/test_monitoring_tiny.py",
    "expected 7d, 12h, or a date or time": "tests/integration/test_monitoring_tiny.py",
    "{shown(url)} holds no row of {shown(model)}": "tests/integration/test_monitoring_tiny.py",
    "in use is to be looked at": "tests/integration/test_monitoring_tiny.py",
    "expected the place of an item in its request": "tests/unit/monitoring/test_asked.py",
    "and {ITEM} where a request has several": "tests/unit/monitoring/test_asked.py",
    "the table of true labels, cannot be read": "tests/unit/monitoring/test_asked.py",
    "holds no request log of": "tests/unit/serving/test_log.py",
    "is no file of a request log": "tests/unit/serving/test_log.py",
    "was written by a newer luodi: it is of format {number}": "tests/unit/serving/test_log.py",
    "is no folder and no URL that fsspec can open here": "tests/unit/serving/test_log.py",
    "look at the address and the credentials that its library finds": "needs a store that refuses",
    "give --input PATH with --output FILE": BULK,
    "is the input: name another file": BULK,
    "which the answers are to have: rename it": BULK,
    "which {form} cannot hold: write .parquet": BULK,
    "found {target.suffix or 'no suffix'}: name it so": BULK,
    "another luodi predict writes the same output": BULK,
    "is not the luodi that runs, and a project needs": "tests/unit/scaffold/test_scaffold.py",
    "no file lies in {self.ingest.inbox}": "no error: Airflow skips the task",
    "expected the whole path of a folder, or a URL": "tests/unit/airflow/test_inbox.py",
    "Airflow has no connection {shown(name)}": STORES,
    "Airflow has no variable {name}": STORES,
    "the Airflow variable {name}: {error}": STORES,
    "which needs the package": STORES,
    "{trouble}{by}: {shown(why, 500)}": STORES,
    "expected the name of an Airflow connection before the @": STORES,
    "expected variable://NAME, of a variable of Airflow": STORES,
    "expected no connection or variable of Airflow": STORES,
    "expected the path of a class, such as": "tests/unit/config/test_config.py",
    "does not say what was forgotten": "tests/unit/scaffold/test_forgetting.py",
    "rows that were forgotten came in again": "tests/integration/test_arriving.py",
    "by which rows are named": "tests/unit/scaffold/test_forgetting.py",
    "nothing was forgotten; correct the sheet": "tests/unit/scaffold/test_forgetting.py",
    "no row of {model} would be left": "tests/unit/scaffold/test_forgetting.py",
    "has the class {shown(known[0], 40)} already": "tests/unit/scaffold/test_admitting.py",
    "no batch {shown(name, 60)": "tests/unit/checks/test_held_back.py",
    "no text in {source}": "tests/unit/data/test_documents.py",
    "no path of {_a(kind.name)} holds it": "tests/unit/scaffold/test_adding.py",
    "expected what luodi wrote under": "tests/unit/scaffold/test_amending.py",
    "{where}: expected {', '.join(VERDICTS)} or nothing": "tests/unit/scaffold/test_amending.py",
    "expected another label to relabel by": "tests/unit/scaffold/test_amending.py",
    "corrected rows would be held back again": "tests/unit/scaffold/test_amending.py",
    "the sheet was written of other data": "tests/unit/scaffold/test_amending.py",
    "expected the threshold of a warning first": "tests/unit/checks/test_drift.py",
    "expected a folder of batches": "tests/unit/scaffold/test_replaying.py",
    "is no record of a batch": "tests/unit/scaffold/test_ingesting.py",
    "new rows ({self.held": "tests/unit/scaffold/test_ingesting.py",
    "is no folder: expected one with": CHECKPOINT,
    "a file that can run code when it is opened": CHECKPOINT,
    "which {INDEX} names: get all parts": CHECKPOINT,
    "expected a checkpoint as Hugging Face's": CHECKPOINT,
    "names code of the checkpoint's own": CHECKPOINT,
    "and luodi reads": CHECKPOINT,
    "cannot be right: {why}": CHECKPOINT,
    "GB as float32, expected at most": "takes a tensor of two gigabytes",
    "beside it describes: {why}": CHECKPOINT,
    "it did not come whole, or is no safetensors": CHECKPOINT,
    "holds values that are no numbers": CHECKPOINT,
    "is no tokenizer (": CHECKPOINT,
    "does not fit the weights": CHECKPOINT,
    "does not fit the tokenizer": CHECKPOINT,
    "alone does not tell apart": CHECKPOINT,
    "expected a list of modules": CHECKPOINT,
    "and what is exported holds at most": "tests/unit/nets/test_nets.py",
    "and luodi does by mean, cls or the last": CHECKPOINT,
    "move it away, or choose another folder for the encoder": PRETRAINING,
    "is of a pretraining that was ended, of other texts": PRETRAINING,
    "texts, a line each, expected at least": PRETRAINING,
    "is no file, nor a folder of files": PRETRAINING,
    "--width is a multiple of 32": USAGE,
    "give PATH once, such as hotels.csv": USAGE,
    "is a preset of KerasHub's": PRESET,
    "get the whole preset again": PRESET,
    "cannot be right: {shown(repr(name)": PRESET,
    "expected a preset as KerasHub writes it": PRESET,
    "expected a preset with weights and with what scales": STEM_PRESET,
    "beside it describes ({why}): get both of the": STEM_PRESET,
    "channels: get the preset again": STEM_PRESET,
    "and RoBERTa's is": PRESET,
    "is no file: expected a network of images": STEM,
    "expected a network of images that Keras saved": STEM,
    "does not hold the weights of {name}: of arrays": STEM,
    "does not hold the weights of {name} without its last layer": "another layout of the same arrays",
    "is no network that Keras saved": STEM,
    "it holds no {CONFIG} and {ARRAYS} of a size": STEM,
    "it did not come whole": STEM,
    "is no network that Keras can build": STEM,
    "and luodi runs no code but that of Keras'": STEM,
    "scales no pixels, and would be given": STEM,
    "is no classifier of images that luodi can start from": STEM,
    "it did not come whole; get it again": STEM,
    "holds arrays that are not plain": STEM,
    "leads to another file": STEM,
    "holds groups without an end": PRESET,
    "holds arrays of more than": PRESET,
    "holds values that are no numbers: get the file again": STEM,
    "cannot turn into ONNX": STEM,
    "gives other vectors as an ONNX graph than by Keras": "no network here does that",
    "gives the same vector to two different images": STEM,
    "and the model is one of {kind.modality}s": "tests/unit/pretrained/test_stem.py",
    "and preprocess makes others: set preprocess": "tests/unit/pretrained/test_stem.py",
    "is not for a pretrained encoder of images": "tests/unit/pretrained/test_stem.py",
    "is not JSON ({error})": CHECKPOINT,
    "expected a JSON object, found": CHECKPOINT,
    "bytes, expected at most {LONGEST}": "takes a file of 64 MiB",
    "its weights are not those of a trained encoder": "tests/unit/scaffold/test_adding_encoders.py",
    "already: choose another name with --name": "tests/unit/scaffold/test_adding_encoders.py",
    "exists, though {encoders.NAME} has no encoder": "tests/unit/scaffold/test_adding_encoders.py",
    "holds a model's data: rename that model": "tests/unit/scaffold/test_adding_encoders.py",
    "is not what luodi wrote": "tests/unit/pretrained/test_frozen.py",
    "`luodi encoder list` lists those that there are": "tests/unit/pretrained/test_frozen.py",
    "is away, though {encoders.NAME} records it": "tests/pipeline/test_encoder_repro.py runs the command",
    "does not match {encoders.NAME}": "tests/pipeline/test_encoder_repro.py runs the command",
    "or train.encoder to another encoder": "no encoder here does that",
    "is of an earlier luodi, which told nothing of its weights": "tests/unit/pretrained/test_tuned.py",
    "is of an encoder: name one in train.encoder": "tests/unit/pretrained/test_tuned.py",
    "each may stand there once": "tests/unit/config/test_config.py",
    "each matrix may be named once": "tests/unit/pretrained/test_tuned.py",
    "train.encoder go together": "tests/unit/pretrained/test_frozen.py",
    "it has no {missing[0]}": CHECKPOINT,
    "it is not searched: {reason}": TUNING,
    "no setting of preprocess or train": TUNING,
    "expected low and high, or choices": TUNING,
    "expected choices, or low and high, found both": TUNING,
    "is not below high": TUNING,
    "log: true needs low above 0": TUNING,
    "its values are no numbers: give choices": TUNING,
    "sampler grid tries every value": TUNING,
    "its values are whole numbers": TUNING,
    "is wider than from low": TUNING,
    "is not searched: {NO_NETWORK": TUNING,
    "goes with nothing that is searched or set": TUNING,
    "it asks in the end for itself": TUNING,
    "does not exist: run `luodi tune run": "tests/unit/tuning/test_study.py",
    "there is nothing to try": "tests/unit/tuning/test_space.py",
    "tune.sampler is grid, which tries every value": "tests/unit/tuning/test_space.py",
    "{where}: {error.errors()[0]['msg']}, found": TUNING,
    "which are trial 0, cannot be trained": "what it says why has a remedy of its own",
    "there is no network to tune": "tests/unit/tuning/test_space.py",
    "train.tuning is frozen: there is nothing to tune": "tests/unit/tuning/test_space.py",
    "tune.sampler is gp, which needs PyTorch": "tests/unit/tuning/test_space.py",
    "says only what a prediction costs": TUNING,
    "stands there twice": TUNING,
    "expected {low: 0.001, high: 0.1} or": TUNING,
    "the database of studies {where.shown} failed": "tests/unit/tuning/test_study.py",
    "and the database of studies does not know of it": "tests/unit/tuning/test_study.py",
    "is being run by another host": "tests/integration/test_studies.py",
    "no search by these rows, settings and code": "tests/unit/tuning/test_study.py",
    "the database of studies": "tests/unit/tuning/test_study.py",
    "is being run by another process of this host": "tests/unit/tuning/test_study.py",
    "expected an output of shape": "a user's own code; tests/unit/config/test_user_code.py",
    "an expectation of your own, cannot be checked": "a user's own code; tests/unit/config/test_user_code.py",
    "a dry run, and one that tries settings, lands nothing": "the run was asked to land nothing",
    "has no network that Keras opens": "to leave an option out needs no proof",
    "holds neither a validation nor an evaluation": "tests/integration/test_report.py",
    "that no commit holds: commit it, or restore it": "tests/integration/test_sync.py",
    "of this checkout is not that of": "tests/integration/test_sync.py runs the command",
    "landed elsewhere: this checkout has its tag": "tests/integration/test_sync.py runs the command",
    "is in production: `luodi run": "tests/integration/test_sync.py",
    "preprocess.split.pattern looks at the path": "tests/unit/checks/test_joined_rows.py has it",
    "expected a regular expression": "it says what is wrong with it; tests/unit/checks/test_joined_rows.py",
    "dvc.yaml: expected a mapping `artifacts:`": "tests/unit/scaffold/test_scaffold.py",
    "holds no pulled model: `luodi pull": "tests/unit/registry/test_classifier.py",
    "are not those that were registered as": "tests/unit/registry/test_classifier.py",
    "shlex.join(['luodi', *sys.argv[1:]])": "the message stands in columns.py: tests/unit/cli/test_arguments.py",
    "is not of the rows in": "made by hand; training writes it anew, tests/unit/stages/test_evaluate.py",
    "git is told not to look at": "tests/integration/test_commits.py runs the command",
    "is a git repository of SHA-256 objects": "its owner may only make another; tests/integration/test_commits.py",
    "expected MODEL, MODEL@v1.2.3,": USAGE,
    "expected a model alone, such as": USAGE,
    "write it behind `": USAGE,
    "the version is named already, by": USAGE,
    "--image-column and --images are for image": USAGE,
    "expected one character, such as": USAGE,
    "many to read at once": "takes a file of half a gigabyte",
    "is not a readable workbook": "tests/unit/data/test_any_data.py has it",
    "tell which sheet holds the rows": "tests/unit/data/test_any_data.py has it",
    "cells: delete what stands there": "tests/unit/data/test_any_data.py has it",
    "expected a name of small letters, digits and _": "tests/dags/test_dags.py has it",
    "expected a workbook; save it as .csv": "takes a workbook that unpacks to half a gigabyte",
    "expected a row; correct that line": "takes a line of 128 MiB",
    "holds a text that is not UTF-8: write": "as a file that is not readable Parquet",
    "there is nothing to classify in": "tests/unit/data/test_text.py has it",
    "name a version, such as": USAGE,
    "what the run tries is tried as it stands": "a skip of Airflow, not an error",
    "is a folder, and holds one version: leave --version out": USAGE,
    "give texts, or --input PATH, not both": USAGE,
    "give texts to classify, or --input PATH": USAGE,
    "expected UTF-8, found other bytes": USAGE,
    "give a text, or --input FILE.png for a model of images": USAGE,
    "classifies {classifier.encoder.modality}s: {expected}": "tests/unit/cli/test_explain.py",
    "give one image": USAGE,
    "{classifier.version} has no label {label}; it has": "tests/unit/cli/test_explain.py",
    "holds something else than an export for": "tests/unit/local/test_exporting.py",
    "give --json or --markdown, not both": USAGE,
    "classifies images: give --input": USAGE,
    "unknown modality {name}": INNER,
    "params.yaml names {name}, and there is no such file in": OWN_CODE,
    "params.yaml names {name}, and it holds no expectations": OWN_CODE,
    "and there is no module {module}": OWN_CODE,
    "which params.yaml names, fails": OWN_CODE,
    "expected a model alone, found": SERVED,
    "expected MODEL@VERSION, such as": SERVED,
    "expected MODEL@VERSION=SHARE, such as": SERVED,
    "which the extra `serve` brings": SERVED,
    "expected a version of {shown(wanted.model)}": USAGE,
    "a DAG file that stands elsewhere names it": DAGS,
    "which the extra `plots` brings": PLOTTED,
    "what DVC brings would take the place of": SYNCED,
    "which gives each model its own": PLOTTED,
    "nothing is there that the plots of {model} show": PLOTTED,
    "neither git nor DVC knows {shown(unknown[1])} here": PLOTTED,
    "of dvc.yaml cannot be drawn: expected a template": PLOTTED,
    "is named twice: one address answers": SERVED,
    "is of no model that is served": SERVED,
    "has two versions as": SERVED,
    "cannot listen on": SERVED,
    "holds no token: expected one a line": SERVED,
    "look again": RACE,
    "classifies {classifier.encoder.modality}s, {model.current.name}": "no model changes what it classifies",
    "was written by a newer luodi: it is of format": "by no luodi yet; tests/unit/test_files.py",
    "which params.yaml names, {found}: expected": "a metric of a user's own; tests/unit/scoring/test_own_metric.py",
    "is not Python ({error})": OWN_CODE,
    "names what is in": OWN_CODE,
    "expected columns of {kind}, found": INNER,
    "two columns {twice[0]}": INNER,
    "is a word of YAML": "as one that cannot name a model",
    "{where} cannot be used": YAML,
    "is not a regular file: put one in its place": YAML,
    "is too large: expected at most {largest}": YAML,
    "cannot be read: {error.strerror}": YAML,
    "a second document begins": YAML,
    "is not taken: write the plain value": YAML,
    "inside one another: expected a few": YAML,
    "is used {where}": YAML,
    "the aliases multiply": YAML,
    "as a key: expected a text": YAML,
    "takes in what is no mapping": YAML,
    "labels of at most {LABEL} characters": "as too few labels",
    "is a line break to some readers": "it names the character",
    "a file may not grow further": "takes a limit that this process could not raise again",
    "expected `foreach: ${models}`": "it names the place and what to write there",
    ".do.{key}: expected a list": "it names the place and what to write there",
    "{where}: expected a text, found": "it names the place and what to write there",
    "{where}: cannot fill in": "it names the place and what to write there",
    "it does not hold {', '.join(sorted(names))}": INNER,
    "MacroRecall takes no sample weights": "a mistake of a programmer",
    "scored on the same rows, found others": "a mistake of a programmer",
    "the gate has judged again since": AIRFLOW,
    "the run's conf says": AIRFLOW,
    "nobody approved": AIRFLOW,
    "no page {page}": AIRFLOW,
    "is not there yet, and others have been": AIRFLOW,
    "retrain_{model} failed": "it tells the message of a task, which names the remedy",
    "ended by itself": AIRFLOW,
    "Airflow's database could not be made": AIRFLOW,
    "{what}: {full}": "tests/unit/cli/test_cli_errors.py has it",
    "`{command}`": "it tells the message of a stage, which names the remedy",
    "{path} {error}": INNER,
    "does not give what Git LFS keeps": "needs git-lfs",
    "expected a label for each of": "tests/unit/registry/test_classifier.py",
    "refuses every push, for its tag": "tests/unit/registry/test_odd_tags.py has it",
    "cannot be read: see `git -C {repository} fsck`": "a broken disk: git's own check says what is gone",
    "cannot be read: run `git fsck` there": "a broken disk: git's own check says what is gone",
    "is damaged, and git cannot remove it": "tests/unit/registry/test_odd_tags.py has it",
    "and no tag is the reason": "a broken disk: git's own check says what is gone",
    "may not be used by you: choose one above 1023": AIRFLOW,
    "DVC cannot read its settings": "it tells the line; tests/unit/local/test_checkout.py has it",
    "is taken: stop what listens there": AIRFLOW,
    "did not move {origin.branch} in": RACE,
    "refused because others pushed first": RACE,
    "changed while it was read: run it again": RACE,
    "changed while it was read: run `luodi validate": RACE,
    "was moved by somebody else just now": RACE,
    "was registered by a newer luodi": "tests/unit/local/test_delivery.py has it",
    "of the gate in this run is of another luodi": AIRFLOW,
    "was approved against": "tests/integration/test_succession.py has it",
    "there is no earlier version of": "tests/integration/test_succession.py has it",
    "none was given; run it again, and approve it": "tests/dags/test_approval.py has it",
    "was rejected by {who}": "a person's word is not to be mended",
    "is in production already: nothing to do": "there is nothing to do",
    "may not land: {verdict}, see above": "the reasons are printed above it",
    "the DVC remote cannot be used: {reason}": "whoever runs the remote knows; DVC's own words are shown",
    "is tracked by a git repository above it": "tests/integration/test_commits.py has it",
    "is no git repository: work in a clone": "a clone can, as all tests show",
    "the disk is full": "tests/unit/cli/test_cli_errors.py has it",
    "{error.filename}: {error.strerror}: {remedy}": "tests/unit/cli/test_cli_errors.py has it",
    "; let this user read it": "root, who runs the tests in a container, may read everything",
    "{name}: {error}, or move it away": "it names the file; what is wrong with it is said as `; convert it`",
    "a row that passed validation is unfit": "needs another Pillow between validate and preprocess",
    "Great Expectations cannot make its Data Docs": "a fault of Great Expectations, shown as it is",
    "four .gz files with --from": "the data set is not on this machine",
    "is not installed: run `pip install": "takes another environment",
    "install luodi's pinned requirements and fetch again": "takes another environment",
    "the exported model differs from the trained one": "no network here does that",
    "TF_CONFIG names": "tests/unit/nets/test_sharing.py has it",
    "TF_CONFIG cannot be used": "tests/unit/nets/test_sharing.py has it",
    "trained came to no end": "tests/unit/nets/test_backends.py has it",
    "LUODI_CHECKPOINTS is": "tests/unit/nets/test_checkpoints.py has it",
    "ran out in training": "tests/unit/nets/test_nets.py has it",
    "a model that gives NaN has diverged": "train stops before it saves such a network",
    "every row of {paths.model} was quarantined": "told as a broken expectation is",
    "dvc repro left no entry": "a fault of DVC",
    "another luodi made it; register the model again": "takes another luodi",
    "does not match its tag: its dvc.lock": "somebody changed history: another version is promoted as ever",
}
"""Words of a message -> why no fault is made for it here."""

NAMES = {name for name, kind in vars(errors).items() if isinstance(kind, type)} | {
    "AirflowFailException", "AirflowSkipException", "BadParameter", "NoPage", "Busy", "ValueError",
    "ArrowInvalid", "__init__", "Unfit", "_Astray", "_at",
    "_failed",
}  # fmt: skip


def messages() -> Iterator[tuple[str, str]]:
    """Where each message of an error stands in the source, and the message, its parts as they are written there."""
    for path in sorted((ROOT / "src" / "luodi").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and NAMES & set(re.findall(r"\w+", ast.unparse(call.func))):
                for argument in call.args:
                    if said := words(argument):
                        yield f"{path.name}:{call.lineno}", said


def words(node: ast.expr) -> str:
    if isinstance(node, ast.IfExp):
        return f"{words(node.body)} or {words(node.orelse)}"
    if isinstance(node, ast.Constant):
        return str(node.value) if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in node.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
    return ""


def test_every_message_has_a_remedy_that_was_tried_or_a_reason() -> None:
    told = [case.says for case in [*LIGHT, *HEAVY, *LONG]] + list(WHY_NOT)
    found = list(messages())
    assert [f"{place}: {said}" for place, said in found if not any(one in said for one in told)] == []
    assert [one for one in told if not any(one in said for _, said in found)] == []
    named = {path for reason in WHY_NOT.values() for path in re.findall(r"tests/\S+", reason)}
    assert [path for path in named if not (ROOT / path).exists()] == []
