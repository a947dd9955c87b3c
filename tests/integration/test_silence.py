"""Nothing phones home: no command looks a name up, calls another machine, or keeps an id in the home folder."""

import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import silence
import tiny_encoder
import tiny_stem
import typer
from project import Project

from luodi.cli.commands import app

pytestmark = silence.needs_strace

UDP = "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
EASY = {"gate": {"margin": -1.0, "max_slice_loss": 1.0, "max_calibration_error": 1.0}, "train": {"learning_rate": 0.01}}
LAND = ("register", "promote", "rollback")  # the only commands to which git must know who works here

# A minute of it, its schedules on.
UP = """sh -ec 'luodi up --port {port} > {folder}/up & until grep -q ready {folder}/up; do kill -0 $!; sleep 1; done
sleep 60; kill $!; wait $! || true'"""

# In an order in which each does what it is for, on one project.
SERVE = """sh -ec 'luodi serve reviews --port {port} --follow 1 > {folder}/serve & until grep -q docs {folder}/serve
do kill -0 $!; sleep 1; done; curl -sf http://127.0.0.1:{port}/docs; sleep 5; kill $!; wait $!'"""

FIRST = [
    "luodi connect",
    "luodi upgrade",
    "luodi settings",
    "luodi params reviews",
    "dvc repro",
    *(f"luodi {stage} reviews" for stage in ("validate", "preprocess", "baseline", "train", "compress", "evaluate")),
    "luodi tune run reviews --if-set",
    "sh -c 'luodi tune status reviews; test $? = 30'",
    "luodi tune apply reviews",
    "luodi quarantine list reviews --csv {folder}/held.csv",
    "sh -c 'luodi quarantine show reviews; test $? = 21'",  # no batch came
    "luodi labels review reviews --csv {folder}/doubts.csv",
    "luodi report reviews",
    "luodi plots reviews",
    "luodi gate reviews",
    "luodi register reviews",
    "luodi sync reviews",
    "luodi models",
    "luodi models list",
    "luodi models show reviews",
    "luodi predict reviews 好",
    "luodi explain reviews 质量很好",
    SERVE,
    "luodi pull reviews {folder}/served",
    "luodi export reviews {folder}/hub --to huggingface",
    "luodi architectures",
    "python dags/retrain.py",
    "python -c 'import luodi.nets.export, tf2onnx, onnxruntime'",
]
AGAIN = [
    "luodi run reviews",
    "luodi airflow dags list",
    "luodi rollback reviews",
    "luodi promote reviews@v1.1.0",
    UP,
]
MONITOR = "sh -c 'luodi monitor reviews --log {folder}/log; test $? = 21'"  # nobody asked
FETCH = "sh -c 'luodi fetch reviews; test $? = 25'"  # the whole corpus beside the slice that data.dvc records
LAST = [
    "luodi init {folder}/fresh",
    "luodi add more --modality text --from {folder}/texts.csv",
    "luodi ingest more {folder}/texts.csv",
    "luodi replay more --from {folder}/batches",
    "luodi labels admit more mixed",
    "luodi quarantine release more {folder}/more.csv",
    "luodi quarantine discard more {folder}/more.csv",
    "luodi labels apply more {folder}/more.csv",
    "luodi data log more",
    "luodi data forget more --rows {folder}/gone.csv --purge",
    "luodi encoder add {folder}/tiny",
    "luodi encoder add {folder}/stripes.keras",
    "luodi pretrain {folder}/learned --texts {folder}/lines.txt --layers 1 --width 32 --length 8 --epochs 1",
    "luodi encoder list",
    "luodi rename more others",
    "luodi retire others --data",
    MONITOR,
    FETCH,
    "dvc version",
    "dvc status",
]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("socket.getaddrinfo('example.com', 80)", True),
        (f"{UDP}.connect(('192.0.2.1', 443))", True),
        (f"{UDP}.sendto(b'', ('192.0.2.1', 443))", True),
        (f"{UDP}.sendmsg([b''], [], 0, ('192.0.2.1', 443))", True),
        ("socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).connect(('2001:db8::1', 443))", True),
        ("socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).connect(('::ffff:192.0.2.1', 443))", True),
        (f"{UDP}.connect(('127.0.0.53', 53))", True),
        (f"{UDP}.connect(('0.0.0.0', 443))", False),
        (f"{UDP}.connect(('127.0.0.1', 443))", False),
        ("socket.getaddrinfo('localhost', 80)", False),
        ("socket.socketpair()[0].send(b'')", False),
        ("os.getlogin()", False),
    ],
)
def test_what_asks_others_is_seen(code: str, found: bool, tmp_path: Path) -> None:
    """The check can fail."""
    command = [sys.executable, "-c", f"import os, socket\ntry: {code}\nexcept OSError: pass"]
    subprocess.run([*silence.traced(tmp_path / "log"), *command], check=True, timeout=120)
    assert bool(silence.asked(tmp_path / "log")) == found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('7 connect(3, {sa_family=AF_UNIX, sun_path="/run/systemd/resolve/io.systemd.Resolve"}, 42) = 0', True),
        (
            '7 connect(3, {sa_family=AF_UNIX, sun_path="/run/systemd/resolve/io.systemd.Resolve"}, 42) = -1 ENOENT',
            False,
        ),
        ('7 connect(3, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = 0', False),
        (r'7 sendto(3, "\2\0\0\0\r\0\0\0\6\0\0\0hosts\0", 18, MSG_NOSIGNAL, NULL, 0) = 18', True),
        (r'7 sendto(3, "\2\0\0\0\v\0\0\0\7\0\0\0passwd\0", 19, MSG_NOSIGNAL, NULL, 0) = 19', False),
        (r"7 <... sendmmsg resumed>[{msg_hdr={msg_name={sa_family=AF_INET, sin_port=htons(53), sin_addr=", True),
    ],
)
def test_what_asks_the_services_of_this_machine_is_seen(line: str, found: bool) -> None:
    assert silence.asks(line) == found


def names(group: Any, before: str = "luodi") -> Any:
    for name, command in getattr(group, "commands", {}).items():
        yield f"{before} {name}"
        yield from names(command, f"{before} {name}")


def test_every_command_is_tried() -> None:
    tried = [*FIRST, *AGAIN, *LAST]
    missing = [name for name in names(typer.main.get_command(app)) if not any(f"{name} " in f"{one} " for one in tried)]
    assert missing == []


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_no_command_asks_others_or_leaves_something_in_the_home_folder(
    make_project: Callable[[str], Project], tmp_path: Path
) -> None:
    project = make_project("silent")
    (project.root / ".dvc" / "config.local").unlink()  # as in a fresh clone
    rows = (f"这家店很好，第{row}次来,{('a', 'b')[row % 2]}" for row in range(40))
    (tmp_path / "texts.csv").write_text("\n".join(("text,label", *rows)), encoding="utf-8")
    (tmp_path / "gone.csv").write_text("row\npart-00000.parquet:2\n", encoding="utf-8")
    (tmp_path / "more.csv").write_text("verdict,row\ndrop,part-00000.parquet:1\n", encoding="utf-8")
    (tmp_path / "batches").mkdir()
    (tmp_path / "batches" / "1.csv").write_text("text,label\n又来了一次，很好,a\n", encoding="utf-8")
    tiny_encoder.write(tmp_path / "tiny")
    tiny_stem.write(tmp_path / "stripes.keras")
    (tmp_path / "lines.txt").write_text("\n".join(f"第{row}次来这家店" for row in range(200)), encoding="utf-8")
    told = {one: trace(project, one, tmp_path) for one in FIRST}
    project.set(EASY)
    told |= {one: trace(project, one, tmp_path) for one in (*AGAIN, *LAST)}
    assert {one: lines for one, lines in told.items() if lines} == {}
    assert [version.name for version in project.versions()] == ["reviews@v1.1.0", "reviews@v1.0.0"]
    assert (project.root / ".dvc" / "tmp" / "site" / "repo").is_dir()


def trace(project: Project, command: str, folder: Path) -> list[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = shlex.split(command.format(port=port, folder=folder))
    env = {"AIRFLOW_HOME": str(folder / "airflow")} | ({} if words[1] in LAND else {"GIT_CONFIG_GLOBAL": "/dev/null"})
    return silence.told_others(project, folder / "log", *words, env=env)
