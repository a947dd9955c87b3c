"""`luodi serve` as its clients see it: one real server over two pulled folders, asked over HTTP."""

import base64
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import fuzzing
import handmade
import images
import psutil
import pytest

import luodi
from luodi.data.modality import Encoder
from luodi.files import folder_checksum, write_json

TOKEN = "right"
INFER = "/v2/models/words/infer"
LIMITS = ("--max-items", "8", "--max-body", "0.01", "--max-item", "0.009", "--queue", "8", "--timeout", "1")


class Said(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Server(NamedTuple):
    folder: Path
    process: "subprocess.Popen[str]"
    port: int

    def ask(self, method: str, path: str, body: Any = None, token: str | None = TOKEN, **headers: str) -> Said:
        """One request; JSON unless the body is bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, content, sent | ({"Authorization": f"Bearer {token}"} if token else {}))
        response = connection.getresponse()
        found = Said(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read().decode())
        connection.close()
        return found

    def post(self, path: str, body: Any, **headers: str) -> Said:
        return self.ask("POST", path, body, **headers)

    def raw(self, *parts: bytes, seconds: float = 15.0, rest: bool = True) -> bytes:
        """What comes back for these bytes, until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            for part in parts:
                connection.sendall(part)
            found = b""
            while rest and (more := connection.recv(65536)):
                found += more
            return found


def pulled(folder: Path, name: str, encoder: Encoder) -> Path:
    """A folder as `luodi pull` leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    handmade.make(folder, encoder)
    write_json(folder / "version.json", {"version": name, "format": 2, "export": folder_checksum(folder)})
    return folder


def started(folder: Path, *arguments: str, **env: str) -> Server:
    command = [sys.executable, "-m", "luodi", "serve", *arguments, "--port", "0"]
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **env}, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout
    for line in process.stdout:
        if found := re.match(r"how to ask: http://127.0.0.1:(\d+)/docs", line):
            return Server(folder, process, int(found[1]))
    raise AssertionError(f"it ended with {process.wait()}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    pulled(folder / "words", "words@v1.0.0", handmade.ENCODER)
    pulled(folder / "pictures", "pictures@v2.1.0", handmade.IMAGES)
    (folder / "token").write_text(f"{TOKEN}\nolder\n")
    options = ("--token-file", "token", "--follow", "0.2", *LIMITS)
    found = started(folder, "words/", "pictures/", *options)
    yield found
    found.process.send_signal(signal.SIGTERM)
    assert found.process.stdout
    with found.process.stdout as output:
        rest = output.read()
    assert found.process.wait(30) == 0
    assert "Traceback" not in rest
    assert rest.splitlines()[-1] == "all that was asked is answered: the server has ended"


def test_texts_are_classified_as_by_the_library(server: Server) -> None:
    texts = ["好书", "坏书", "好坏书好"]
    said = server.post("/predict/words", {"texts": texts}, X_Request_ID="one")
    assert said.status == 200
    assert said.headers["x-model-version"] == said.json["version"] == "words@v1.0.0"
    assert said.headers["x-request-id"] == said.json["request"] == "one"
    classifier = luodi.load(server.folder / "words")
    expected = classifier.predict_proba(texts)
    found = server.post("/predict/words?probabilities=true", {"texts": texts}).json["predictions"]
    assert [list(one["probabilities"].values()) for one in found] == [
        [round(float(value), 6) for value in row] for row in expected
    ]
    assert [one["label"] for one in said.json["predictions"]] == classifier.predict(texts).tolist()


def test_the_open_inference_protocol(server: Server) -> None:
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["好书", "坏书"]}
    said = server.post(INFER, {"id": "seven", "inputs": [tensor]}).json
    assert (said["model_name"], said["model_version"], said["id"]) == ("words", "v1.0.0", "seven")
    plain = server.post("/predict/words", {"texts": ["好书", "坏书"]}).json["predictions"]
    label, probabilities = said["outputs"]
    assert label == {
        "name": "label", "shape": [2], "datatype": "BYTES", "data": [one["label"] for one in plain]
    }  # fmt: skip
    assert probabilities["shape"] == [2, 2] and max(probabilities["data"][:2]) == plain[0]["probability"]
    nested = tensor | {"shape": [2, 1], "data": [["好书"], ["坏书"]]}
    asked = {"inputs": [nested], "outputs": [{"name": "label"}]}
    by_version = server.post("/v2/models/words/versions/1.0.0/infer", asked).json
    assert by_version["outputs"] == [label]
    assert server.ask("GET", "/v2").json["name"] == "luodi"
    known = server.ask("GET", "/v2/models/words/versions/v1.0.0").json
    assert known["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert known["outputs"][1]["shape"] == [-1, 2] and known["labels"] == ["no", "yes"]
    assert server.ask("GET", "/v2/models/words/ready", token=None).json["ready"] is True
    assert {one["name"]: one["state"] for one in server.post("/v2/repository/index", {}).json} == {
        "words": "READY", "pictures": "READY"
    }  # fmt: skip


def test_an_image_comes_as_a_file_a_form_or_base64(server: Server) -> None:
    png = images.png(1, side=6)
    coded = base64.b64encode(png).decode()
    line = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    form = line + png + b"\r\n" + line + png + b"\r\n--b--\r\n"
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [coded]}
    found = [
        server.post("/predict/pictures", png, Content_Type="image/png").json["predictions"],
        server.post("/predict/pictures", {"images": [coded]}).json["predictions"],
        server.post("/predict/pictures", {"images": [f"data:image/png;base64,{coded}"]}).json["predictions"],
        server.post("/predict/pictures", form, Content_Type="multipart/form-data; boundary=b").json["predictions"][:1],
    ]
    assert len({json.dumps(one) for one in found}) == 1
    outputs = server.post("/v2/models/pictures/infer", {"inputs": [tensor]}).json["outputs"]
    assert outputs[0]["data"] == [found[0][0]["label"]]


def test_what_cannot_be_classified_is_told_of_the_item(server: Server) -> None:
    found = server.post("/predict/words", {"texts": ["好", "<b> </b>", "坏"]}).json["predictions"]
    assert [one["label"] is None for one in found] == [False, True, False]
    assert "nothing to classify" in found[1]["reason"]
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["好", ""]}
    said = server.post(INFER, {"inputs": [tensor]})
    assert said.status == 400 and said.json["error"].startswith("item 1: there is nothing to classify")
    broken = server.post("/predict/pictures", b"no picture", Content_Type="image/png").json["predictions"]
    assert broken[0]["label"] is None


def test_an_answer_is_explained(server: Server) -> None:
    said = server.post("/explain/words", {"text": "好书", "label": "no"}).json
    assert said["label"] == "no" and [part["text"] for part in said["parts"]] == ["好", "书"]
    picture = server.post("/explain/pictures", images.png(1, side=6), Content_Type="image/png").json
    assert len(picture["parts"]) == 6
    assert server.post("/explain/words", {"text": "好书", "label": "maybe"}).status == 400


@pytest.mark.parametrize(
    ("status", "path", "body"),
    [
        (404, "/predict/other", {"texts": ["好"]}),
        (404, "/predict/..%2f..%2fetc%2fpasswd", {"texts": ["好"]}),
        (404, "/predict/../../etc/passwd", {"texts": ["好"]}),
        (404, "/v2/models/words/versions/..%2f1/infer", {}),
        (400, "/v2/models/words/versions/v9.9.9/infer", {}),
        (404, "/v2/models/words/versions/v9.9.9/infer", {
            "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["好"]}]}),
        (405, "/docs", {}),
        (400, "/predict/words", b""),
        (400, "/predict/words", b"\xff\xfe"),
        (400, "/predict/words", b'{"texts": ["' + b"[" * 5000),
        (400, "/predict/words", b"[" * 9000),
        (400, "/predict/words", {"texts": []}),
        (400, "/predict/words", {"texts": [1]}),
        (400, "/predict/words", {"texts": ["好"], "text": "好"}),
        (400, "/predict/words", {"images": ["AAAA"]}),
        (400, "/predict/pictures", {"images": ["%"]}),
        (413, "/predict/words", {"texts": ["好"] * 9}),
        (413, "/predict/words", {"texts": ["a" * 9900]}),
        (413, "/predict/words", b'{"texts": ["' + b"a" * 20000),
        (400, INFER, {"inputs": []}),
        (400, INFER, {"inputs": [{"name": "x", "shape": [2], "datatype": "BYTES", "data": ["好"]}]}),
        (400, INFER, {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": ["好"]}]}),
        (400, INFER, {"inputs": [{"name": "x", "shape": [-1, -1], "datatype": "BYTES", "data": ["好"]}]}),
        (400, INFER, {"outputs": [{"name": "nope"}], "inputs": [
            {"name": "x", "shape": [1], "datatype": "BYTES", "data": ["好"]}]}),
        (400, "/explain/words", {}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_one_sentence(server: Server, status: int, path: str, body: Any) -> None:
    said = server.post(path, body)
    assert said.status == status, said.text
    assert list(said.json) == ["error"] and "Traceback" not in said.text and str(server.folder) not in said.text


def test_headers_that_are_wrong_are_refused(server: Server) -> None:
    asked = {"texts": ["好"]}
    assert server.post("/predict/words", asked, X_Request_ID="two words").status == 400
    assert server.post("/predict/words", asked, Content_Encoding="gzip").status == 415
    assert server.post(INFER, b"{}", Inference_Header_Content_Length="2").status == 400
    assert server.post("/predict/pictures", b"x", Content_Type="multipart/form-data").status == 400


def test_a_body_without_a_length_is_bounded_as_it_comes(server: Server) -> None:
    head = (
        b"POST /predict/words HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer right\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert b" 413 " in server.raw(head, b"1000\r\n" + b"a" * 4096 + b"\r\n", *[b"1000\r\n" + b"a" * 4096 + b"\r\n"] * 2)
    assert b" 200 " in server.raw(
        head.replace(b"Host: x", b"Host: x\r\nConnection: close"),
        b'10\r\n{"texts": ["\xe5\xa5\xbd"\r\n2\r\n]}\r\n0\r\n\r\n',
    )


def test_an_image_of_too_many_pixels_is_refused_undecoded(server: Server) -> None:
    from PIL import Image

    bomb = images.encoded(Image.new("1", (8000, 8000)))
    assert len(bomb) < 10_000
    said = server.post("/predict/pictures", bomb, Content_Type="image/png")
    assert said.status == 413 and "million pixels" in said.json["error"]


@pytest.mark.parametrize("token", [None, "wrong", "", "righ", "rightt"])
def test_a_token_is_needed_but_for_health(server: Server, token: str | None) -> None:
    for method, path in (("POST", "/predict/words"), ("GET", "/metrics"), ("GET", "/docs"), ("POST", "/refresh")):
        said = server.ask(method, path, b"{}" if method == "POST" else None, token=token)
        assert (said.status, said.headers["www-authenticate"]) == (401, "Bearer")
    assert server.ask("GET", "/v2/health/live", token=token).json == {"live": True}
    assert server.ask("GET", "/v2/health/ready", token=token).json == {"ready": True}
    assert server.ask("GET", "/v2", token="older").status == 200


def test_it_imports_nothing_that_trains(server: Server) -> None:
    server.post("/explain/words", {"text": "好书"})
    processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    mapped = {Path(one.path).parts for process in processes for one in process.memory_maps()}
    libraries = {part for parts in mapped for part in parts}
    assert "onnxruntime" in libraries
    assert not libraries & {"tensorflow", "keras", "pandas", "sklearn", "scipy"}


def test_the_pages_load_nothing_from_other_hosts(server: Server) -> None:
    page = server.ask("GET", "/docs").text
    assert "words@v1.0.0" in page and "default-src 'none'" in page
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    told = server.ask("GET", "/openapi.json").json
    assert told["openapi"] == "3.1.0" and {"/predict/words", "/explain/pictures", "/metrics"} <= set(told["paths"])
    assert server.ask("GET", "/").headers["location"].endswith("docs")


def test_figures_for_prometheus(server: Server) -> None:
    from prometheus_client.parser import text_string_to_metric_families as families

    server.post("/predict/words", {"texts": ["好", "<b>"]})
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families(server.ask("GET", "/metrics").text)
        for sample in family.samples
    }
    of = ("production", "words", "words@v1.0.0")
    assert found[("luodi_version_served", *of)] == 1
    assert found[("luodi_request_seconds_count", *of)] >= 1
    assert found[("luodi_answers_total", "", *of)] >= 1
    assert found[("luodi_requests_total", "200", "words")] >= 1
    assert ("luodi_batch_items_sum", "words", "words@v1.0.0") in found
    assert any(key[0] == "process_resident_memory_bytes" for key in found)


def test_a_slow_client_is_let_go_and_others_are_answered(server: Server) -> None:
    """Slow-loris: a head that does not end, a body that does not come, an answer that nobody reads."""
    head = b"POST /predict/words HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer right\r\n"
    begun = time.monotonic()
    hanging = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    for one in hanging:
        one.sendall(head)
    unread = socket.create_connection(("127.0.0.1", server.port))
    unread.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
    assert b" 408 " in server.raw(head + b"Content-Length: 100\r\n\r\n", b'{"te')
    assert server.post("/predict/words", {"texts": ["好"]}).status == 200
    assert time.monotonic() - begun < 8
    unread.close()
    hanging[0].settimeout(15)
    assert hanging[0].recv(1) == b""
    for one in hanging:
        one.close()


def test_a_head_without_end_is_refused(server: Server) -> None:
    with pytest.raises(OSError):  # the connection is closed while it is being written to
        server.raw(b"GET / HTTP/1.1\r\n", *[b"X: " + b"a" * 65536 + b"\r\n"] * 200, rest=False)
    assert server.ask("GET", "/v2/health/live").status == 200


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.proof)])
def test_requests_that_nobody_means_are_no_fault_of_the_server(server: Server, count: int) -> None:
    def status(seed: int) -> int:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            with contextlib.suppress(OSError):  # it has gone, as of a head that is too long
                connection.sendall(fuzzing.request(seed, TOKEN))
            said = b""
            with contextlib.suppress(ConnectionResetError):
                try:
                    while more := connection.recv(65536):
                        said += more
                except TimeoutError:  # it may be kept for the next request, but this one has its answer
                    assert said, fuzzing.request(seed, TOKEN)
        assert b"Traceback" not in said
        final = said.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        return int(final.split()[1]) if final else 0

    with ThreadPoolExecutor(16) as pool:
        found = Counter(pool.map(status, range(count)))
    assert not [code for code in found if code not in (0, 200, 202, 307, 400, 401, 404, 405, 408, 413, 415, 429)], found
    assert found[200] > count // 50 and found[400] > count // 5
    assert server.post("/predict/words", {"texts": ["好"]}).status == 200


@pytest.mark.slow
def test_a_folder_is_followed(server: Server) -> None:
    """Another pull brings another version; one that was damaged never answers, which the log and /metrics tell."""
    folder = server.folder / "pictures"
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"damaged")
    write_json(folder / "version.json", {"version": "pictures@v2.2.0", "format": 2, "export": "0" * 32})
    until(lambda: 'luodi_behind{model="pictures"} 1.0' in server.ask("GET", "/metrics").text)
    png = images.png(1, side=6)
    assert server.post("/predict/pictures", png, Content_Type="image/png").json["version"] == "pictures@v2.1.0"
    reasons = {one["name"]: one["reason"] for one in server.post("/v2/repository/index", {}).json}
    assert "not those that were registered" in reasons["pictures"] and not reasons["words"]
    pulled(server.folder / "new", "pictures@v2.3.0", handmade.IMAGES)
    folder.rename(server.folder / "old")
    (server.folder / "new").rename(folder)
    assert server.post("/refresh", {}).status == 202
    until(lambda: server.post("/predict/pictures", png, Content_Type="image/png").json["version"] == "pictures@v2.3.0")
    until(lambda: 'luodi_behind{model="pictures"} 0.0' in server.ask("GET", "/metrics").text)


def until(holds: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_what_was_asked_is_answered_before_it_ends(server: Server) -> None:
    """The last of them: it ends the server."""
    body = json.dumps({"texts": ["好"]}).encode()
    head = (
        f"POST /predict/words HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer right\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        connection.sendall(head.encode() + body[:5])
        until(lambda: server.ask("GET", "/v2/health/ready").status == 200)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: refused(server))
        connection.sendall(body[5:])
        said = connection.recv(65536)
    assert b" 200 OK" in said and b"words@v1.0.0" in said
    assert server.process.wait(20) == 0


def refused(server: Server) -> bool:
    """Whether no new connection is taken."""
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False
