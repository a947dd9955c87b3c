"""Does `luodi monitor` tell when a model in use is asked other things than it was trained on?

    python benchmarks/monitor.py --data DIR [--work FOLDER] [--rows 1000]

DIR holds online_shopping_10_cats.zip of ChineseNlpCorpus: reviews of ten product categories, equal ones once. A model
is trained on reviews of books and landed, in a project of its own (FOLDER keeps it). Then it is asked, through the
request log, about books that it has not seen and about each other category, and `luodi monitor` looks at each log with
the true labels: drift is to be told of the others alone, and accuracy to fall.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from drift import reviews

from luodi.project.origin import Origin
from luodi.registry import classifier
from luodi.registry.classifier import Registered
from luodi.serving import log
from luodi.system.processes import Runner

BOOKS, HELD = "书籍", 1000
BATCH = 10  # texts of a request
ENV = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "GIT_AUTHOR_NAME": "Benchmark", "GIT_AUTHOR_EMAIL": "benchmark@localhost",
    "GIT_COMMITTER_NAME": "Benchmark", "GIT_COMMITTER_EMAIL": "benchmark@localhost",
}  # fmt: skip


def run(root: Path, *command: str, codes: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(command, cwd=root, env=ENV, text=True, capture_output=True, check=False)
    if done.returncode not in codes:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def prepare(root: Path, books: pd.DataFrame) -> None:
    """Make a project, and land a model of these rows."""
    root.mkdir(parents=True)
    run(root, "luodi", "init", ".")
    run(root, "luodi", "connect")
    table = root / "books.csv"
    books.rename(columns={"review": "text"})[["text", "label"]].to_csv(table, index=False)
    run(root, "luodi", "add", "books", str(table))
    table.unlink()
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "Reviews of books")
    run(root, "dvc", "repro", "--quiet")
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "The first run")
    print(run(root, "luodi", "register", "books").strip(), flush=True)


def ask(model: Registered, rows: pd.DataFrame, folder: Path) -> Path:
    """Log what the model answers, a request an hour; return the table of true labels."""
    writer, now = log.Log(str(folder)), datetime.now(UTC)
    table = folder / "labels.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("request", "item", "label"))
        for number, start in enumerate(range(0, len(rows), BATCH)):
            some = rows[start : start + BATCH]
            at, items = now - timedelta(hours=number), list(some["review"])
            writer.add(
                log.Answered(f"r{number}", at, "books", model.version, log.PRODUCTION, items,
                             model.probabilities(items), 1.0, model.encoder)
            )  # fmt: skip
            lines.writerows((f"r{number}", item, label) for item, label in enumerate(some["label"]))
    writer.close()
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--rows", type=int, default=1000)
    given = parser.parse_args()
    whole = reviews(given.data).sample(frac=1, random_state=0)
    whole["label"] = np.where(whole["label"] == 1, "positive", "negative")
    books = whole[whole["cat"] == BOOKS]
    with tempfile.TemporaryDirectory(prefix="luodi-") as room:
        root = (given.work or Path(room)).resolve() / "project"
        if not root.exists():
            prepare(root, books[HELD:])
        model = classifier.load(Origin.find(root), "books", "production", Runner(lambda line: None))
        print("asked        rows  verdict  n-grams  unknown  labels  chars  confidence  live accuracy")
        for name in [BOOKS, *(one for one in whole["cat"].unique() if one != BOOKS)]:
            rows = books[:HELD] if name == BOOKS else whole[whole["cat"] == name]
            with tempfile.TemporaryDirectory(prefix="luodi-log-") as folder:
                labels = ask(model, rows[: given.rows], Path(folder))
                command = ("luodi", "monitor", "books", "--log", folder, "--labels", str(labels), "--json")
                found = json.loads(run(root, *command, codes=(0, 7)))
            low = {one["name"]: one["low"] for one in found["drift"]["statistics"]}
            names = ("n-grams", "unknown n-grams", "labels", "characters", "confidence")
            (live,) = found["live"]
            told = "  ".join(f"{low[one]:7.3f}" for one in names)
            figure = live["accuracy"]
            print(f"{name:6} {found['rows']:8,}  {found['drift']['verdict']:7}  {told}  {figure['value']:.4f} "
                  f"[{figure['low']:.4f}, {figure['high']:.4f}]", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
