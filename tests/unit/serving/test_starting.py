"""What `luodi serve` says before it answers: of what it is asked to serve, of where it is to listen."""

import importlib.util
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from luodi.cli.commands import app
from luodi.errors import LuodiError
from luodi.files import write_json


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pulled folders, as far as is looked at before anything is loaded."""
    for name in ("words", "others"):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "version.json", {"version": f"{name}@v1.0.0"})
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument"),
        (["words@v1.0.0"], "expected a model alone, found words@v1.0.0"),
        (["words/", "--shadow", "words"], "expected MODEL@VERSION, such as words@v1.1.0, found words"),
        (["words/", "--canary", "words@v1.1.0"], "expected MODEL@VERSION=SHARE"),
        (["words/", "--canary", "words@v1.1.0=100%"], "expected MODEL@VERSION=SHARE"),
        (["words/", "--canary", "words@v1.1.0=nan"], "expected MODEL@VERSION=SHARE"),
        (["words/", "words/"], "words is named twice"),
        (["words/", "--shadow", "word@v1.0.0"], "is of no model that is served; did you mean 'words'?"),
        (["words/", *["--shadow", "words@v1.0.0"] * 2], "words has two versions as shadow"),
        (["words/", "--port", "70000"], "less than or equal to 65535"),
    ],
)
def test_a_wrong_use_is_told(folders: Path, arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["serve", *arguments])
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


def served(*arguments: str) -> str:
    with pytest.raises(LuodiError) as error:
        app(["serve", *arguments], standalone_mode=False)
    return str(error.value)


def test_a_port_that_is_taken_is_told(folders: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert served("words/", "--port", str(port)).startswith(f"cannot listen on 127.0.0.1, port {port} (Address")
    assert "cannot listen on no.such.host.invalid" in served("words/", "--host", "no.such.host.invalid")


def test_a_file_of_no_tokens_is_told(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folders / "token").write_text("\n")
    assert "token holds no token: expected one a line" in served("words/", "--token-file", "token")
    Path("token").write_bytes(b"\xff\xfe")
    assert "token holds no token: expected one a line" in served("words/", "--token-file", "token")
    monkeypatch.setenv("LUODI_SERVE_TOKEN", "")
    assert "LUODI_SERVE_TOKEN holds no token" in served("words/")


def test_what_is_not_there_is_told(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "holds no pulled model" in served("nothing/")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name))
    assert "luodi serve needs uvicorn, which the extra `serve` brings: pip install 'luodi[serve]'" in served("words/")


def test_the_threads_of_a_slow_model_follow_the_share_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import handmade

    from luodi.files import folder_checksum
    from luodi.serving import batching, starting
    from luodi.serving.limits import Limits
    from luodi.serving.sources import Folder

    handmade.make(tmp_path)
    export = folder_checksum(tmp_path)
    write_json(tmp_path / "version.json", {"version": "words@v1.0.0", "format": 2, "export": export})
    monkeypatch.setattr(starting, "cores", lambda: 3)
    quick: Any = starting.prepare([Folder.of(tmp_path)], limits=Limits()).service.models["words"].current
    assert quick.classifier.session.get_session_options().intra_op_num_threads == 1
    monkeypatch.setattr(batching, "QUICK", 0)
    found: Any = starting.prepare([Folder.of(tmp_path)], limits=Limits()).service.models["words"].current
    assert found.classifier.session.get_session_options().intra_op_num_threads == 3
