"""What a server adds to a model: latency, load and processor time over HTTP, beside other servers of the same files.

Needs wrk; for the load of a given rate autocannon (npm install autocannon); for LitServe a Python that has it beside
what docker/requirements-serve.txt names. All servers stand at once and are asked in turns, so that whatever else the
machine does is the same for all: compare them, and the processor time, rather than the clock.

    python benchmarks/serving.py serving/reviews data/reviews --litserve /tmp/venv/bin/python
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import pyarrow.parquet as pq

HERE = Path(__file__).resolve()
CONNECTIONS = (1, 4, 16, 64)
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}

LIT = """\
import sys
import litserve
import luodi


class Api(litserve.LitAPI):
    def setup(self, device):
        self.model = luodi.load(sys.argv[1] + "/")

    def decode_request(self, request):
        return request["texts"]

    def batch(self, asked):
        return asked

    def predict(self, asked):
        rows = self.model.predict_proba([text for texts in asked for text in texts])
        return [{"label": self.model.labels[row.argmax()], "probability": float(row.max())} for row in rows]

    def unbatch(self, answers):
        return answers

    def encode_response(self, answer):
        return answer


if __name__ == "__main__":
    api = Api(max_batch_size=64, batch_timeout=0.001, api_path="/predict")
    litserve.LitServer(api, accelerator="cpu", workers_per_device=1).run(
        port=int(sys.argv[2]), generate_client_file=False, log_level="warning", access_log=False
    )
"""
EMPTY = """\
import sys
import uvicorn


async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    head = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b"{}"})


uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", lifespan="off", access_log=False,
            log_level="warning")
"""
ASK = """\
bodies, n = {}, 0
for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
math.randomseed(7)
request = function()
    return wrk.format("POST", nil, {["Content-Type"] = "application/json"}, bodies[math.random(#bodies)])
end
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("folder", type=Path, help="of `luodi pull`")
    options.add_argument("rows", type=Path, help="of Parquet files with a column text")
    options.add_argument("--seconds", type=int, default=4)
    options.add_argument("--turns", type=int, default=3)
    options.add_argument("--litserve", help="a Python with LitServe")
    options.add_argument("--autocannon", default=shutil.which("autocannon"))
    options.add_argument("--rate", type=int, default=1000)
    asked = options.parse_args()
    texts = pq.read_table(asked.rows)["text"].to_pylist()[::17][:2000]
    floor(asked.folder, texts)
    with tempfile.TemporaryDirectory() as made, standing(asked, Path(made)) as servers:
        bodies = Path(made, "bodies")
        bodies.write_text("\n".join(json.dumps({"texts": [text]}, ensure_ascii=False) for text in texts))
        load(asked, servers, bodies)


def floor(folder: Path, texts: list[str]) -> None:
    """The model without HTTP."""
    import luodi

    model: Any = luodi.load(folder.resolve())
    encoded = [model.encoder.encode([text]) for text in texts]
    print(f"{'without HTTP':<28}{'p50 ms':>10}{'p99 ms':>10}{'CPU us':>10}")
    for name, ask, given in (
        ("ONNX Runtime alone", lambda x: model.session.run(["probabilities"], {"x": x}), encoded),
        ("cleaned and encoded too", lambda text: model.predict_proba([text]), texts),
    ):
        times, begun = [], time.process_time()
        for one in given:
            start = time.perf_counter()
            ask(one)  # type: ignore[no-untyped-call]
            times.append(1000 * (time.perf_counter() - start))
        used = 1e6 * (time.process_time() - begun) / len(given)
        print(
            f"{name:<28}{statistics.median(times):>10.3f}{statistics.quantiles(times, n=100)[98]:>10.3f}{used:>10.0f}"
        )


@contextlib.contextmanager
def standing(asked: argparse.Namespace, made: Path) -> Iterator[dict[str, tuple[int, psutil.Process]]]:
    """Start all servers; yield name -> (port, process)."""
    for name, text in (("lit.py", LIT), ("empty.py", EMPTY), ("ask.lua", ASK)):
        (made / name).write_text(text)
    folder = str(asked.folder.resolve())
    commands = {
        "uvicorn, an empty answer": [sys.executable, f"{made}/empty.py", "8801"],
        "luodi serve": [sys.executable, "-m", "luodi", "serve", f"{folder}/", "--port", "8802"],
    }
    if asked.litserve:
        commands["LitServe"] = [asked.litserve, f"{made}/lit.py", folder, "8803"]
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1] / "src")}
    with contextlib.ExitStack() as stack:
        started = {}
        for port, (name, command) in enumerate(commands.items(), 8801):
            process = psutil.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
            stack.callback(end, process)
            started[name] = (port, process)
        name = json.loads((asked.folder / "version.json").read_text())["version"].partition("@")[0]
        for port, _ in started.values():
            answers(port, path(port, name))
        yield {one: (port, process) for one, (port, process) in started.items()}


def end(process: psutil.Process) -> None:
    """End a process, and those that it would leave."""
    below = process.children(recursive=True)
    process.terminate()
    process.wait(20)
    for left in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()


def path(port: int, model: str = "") -> str:
    if model:
        path.model = model  # type: ignore[attr-defined]
    return f"http://127.0.0.1:{port}/predict" + ("" if port == 8803 else f"/{path.model}")  # type: ignore[attr-defined]


def answers(port: int, url: str) -> None:
    request = Request(url, b'{"texts": ["a"]}', {"Content-Type": "application/json"})
    for _ in range(600):
        with contextlib.suppress(OSError), urlopen(request, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    sys.exit(f"nothing answers at {url}")


def load(asked: argparse.Namespace, servers: dict[str, tuple[int, psutil.Process]], bodies: Path) -> None:
    print(f"\n{'over HTTP':<28}{'connections':>12}{'p50 ms':>10}{'p99 ms':>10}", end="")
    print(f"{'requests/s':>12}{'CPU us':>10}{'failed':>8}")
    for connections in CONNECTIONS:
        for name, found in in_turns(asked, servers, partial(wrk, asked, bodies, connections)).items():
            tell(name, connections, found)
    if asked.autocannon:
        print(f"\n{asked.rate} requests/s")
        for name, found in in_turns(asked, servers, partial(at_rate, asked, bodies)).items():
            tell(name, 16, found)


def in_turns(asked: argparse.Namespace, servers: dict[str, tuple[int, psutil.Process]], ask: Any) -> dict[str, Any]:
    """Ask each server in each turn; the turn of the lower p99 counts: what the machine does beside only adds to it."""
    best: dict[str, Any] = {}
    for _ in range(asked.turns):
        for name, (port, process) in servers.items():
            before = used(process)
            found = ask(port)
            found["cpu"] = 1e6 * (used(process) - before) / max(found["count"], 1)
            best[name] = min(best.get(name, found), found, key=lambda one: one["p99"])
    return best


def tell(name: str, connections: int, found: dict[str, Any]) -> None:
    print(
        f"{name:<28}{connections:>12}{found['p50']:>10.2f}{found['p99']:>10.2f}{found['rate']:>12,.0f}"
        f"{found['cpu']:>10.0f}{found['failed']:>8}",
        flush=True,
    )


def used(process: psutil.Process) -> float:
    """Processor seconds of a process and its children."""
    return sum(sum(one.cpu_times()[:2]) for one in [process, *process.children(recursive=True)])


def wrk(asked: argparse.Namespace, bodies: Path, connections: int, port: int) -> dict[str, Any]:
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{asked.seconds}s",
        "--latency",
        "-s",
        str(bodies.parent / "ask.lua"),
    ]
    said = subprocess.run(
        [*command, path(port)], check=True, capture_output=True, text=True, env=os.environ | {"BODIES": str(bodies)}
    ).stdout
    times = {share: float(value) * UNITS[unit] for share, value, unit in re.findall(r"(\d+)% +([\d.]+)(\w+)", said)}
    failed = (
        sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)|timeout (\d+)", said)[0])) if "Non-2xx" in said else 0
    )
    (count,) = re.findall(r"(\d+) requests in", said)
    (rate,) = re.findall(r"Requests/sec: +([\d.]+)", said)
    return {"p50": times["50"], "p99": times["99"], "rate": float(rate), "count": int(count), "failed": failed}


def at_rate(asked: argparse.Namespace, bodies: Path, port: int) -> dict[str, Any]:
    body = bodies.read_text().partition("\n")[0]
    command = [asked.autocannon, "--json", "-c", "16", "-R", str(asked.rate), "-d", str(asked.seconds), "-m", "POST"]
    said = subprocess.run(
        [*command, "-H", "Content-Type=application/json", "-b", body, path(port)], check=True, capture_output=True,
        text=True,
    ).stdout  # fmt: skip
    found = json.loads(said)
    return {"p50": found["latency"]["p50"], "p99": found["latency"]["p99"], "rate": found["requests"]["average"],
            "count": found["requests"]["total"], "failed": found["non2xx"] + found["errors"]}  # fmt: skip


if __name__ == "__main__":
    main()
