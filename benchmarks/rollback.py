"""`luodi rollback` and `luodi promote` of a model of a given size, as whole commands, against a local DVC remote.

    python benchmarks/rollback.py --megabytes 10

Two versions are made from a slice of the reviews in a checkout of their own, then production goes back and forth.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from luodi.data import builtin_datasets
from luodi.project.paths import ModelPaths

ROOT = Path(__file__).resolve().parent.parent
EMBEDDING = 2  # float32 values of an n-gram
ENV = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "GIT_AUTHOR_NAME": "Benchmark", "GIT_AUTHOR_EMAIL": "benchmark@localhost",
    "GIT_COMMITTER_NAME": "Benchmark", "GIT_COMMITTER_EMAIL": "benchmark@localhost",
}  # fmt: skip


def run(root: Path, *command: str) -> float:
    """Run a command in the checkout; return its seconds."""
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=root, env=ENV | {"PYTHONPATH": str(root / "src")}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return time.perf_counter() - start


def prepare(root: Path, buckets: int) -> None:
    """A checkout with a slice of the reviews as its data, and a model with `buckets` n-grams."""
    run(ROOT, "git", "clone", "--quiet", str(ROOT), str(root))
    (shard,) = builtin_datasets.fetch("reviews", root / "whole")
    whole = pq.read_table(shard)
    shard.unlink()
    (root / "whole").rmdir()
    (root / "data" / "reviews").mkdir(parents=True)
    pq.write_table(whole.take(list(range(0, len(whole), 23))), root / "data" / "reviews" / "slice.parquet")
    params = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    model = params["models"]["reviews"]
    model["validate"]["min_rows"] = 500
    model["preprocess"]["buckets"] = buckets
    model["train"] |= {"embedding": EMBEDDING, "epochs": 2}
    model["gate"] |= {
        "minimum": 0.4, "margin": -0.5, "baseline_margin": 1.0, "max_slice_loss": 1.0, "max_calibration_error": 1.0
    }  # fmt: skip
    params["models"] = {"reviews": model}
    write(root, params)
    (root / "data.dvc").unlink()
    run(root, "luodi", "connect")
    run(root, "dvc", "add", "--quiet", "data")
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "A small project")


def write(root: Path, params: object) -> None:
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True), encoding="utf-8")


def land(root: Path, rate: float) -> None:
    """Make and register a version of its own."""
    params = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    params["models"]["reviews"]["train"]["learning_rate"] = rate
    write(root, params)
    run(root, "git", "commit", "--quiet", "--all", "--message", f"Learning rate {rate}")
    run(root, "dvc", "repro", "--quiet")
    run(root, "luodi", "register", "reviews")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=10, help="of the exported model (default 10)")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "checkout"
        prepare(root, int(arguments.megabytes * 1e6 / (4 * EMBEDDING)))
        for rate in (0.004, 0.006):
            land(root, rate)
        size = sum(path.stat().st_size for path in ModelPaths(root, "reviews").export.iterdir()) / 1e6
        seconds: dict[str, list[float]] = {"rollback": [], "promote": []}
        for _ in range(arguments.repeats):
            seconds["rollback"].append(run(root, "luodi", "rollback", "reviews"))
            seconds["promote"].append(run(root, "luodi", "promote", "reviews@v1.1.0"))
    for name, times in seconds.items():
        print(f"{name} of {size:.1f} MB: median {statistics.median(times):.1f} s, longest {max(times):.1f} s")


if __name__ == "__main__":
    main()
