"""`luodi ingest` of many rows into a model that has few, beside `pandas.read_csv` of the same file.

    python benchmarks/ingest.py --rows 10000000

In a new project; processor seconds and peak memory of each as a process of its own.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

from preprocess import timed

FEW = 5000  # rows that the model has
PANDAS = "import sys, pandas; pandas.read_csv(sys.argv[1])"


def write(path: Path, first: int, rows: int) -> None:
    """Write rows of a text that holds its number, and a label."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for place in range(first, first + rows):
            writer.writerow([f"质量很好, 下次还会再来 {place}", "positive" if place % 2 else "negative"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    luodi = Path(sys.executable).with_name("luodi")
    with tempfile.TemporaryDirectory(dir=".") as room:
        root = Path(room) / "project"
        write(Path(room) / "few.csv", 0, FEW)
        write(Path(room) / "new.csv", FEW, rows)
        subprocess.run([luodi, "init", root], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([luodi, "add", "goods", "../few.csv"], cwd=root, check=True, stdout=subprocess.DEVNULL)
        timed("pandas.read_csv", [sys.executable, "-c", PANDAS, "../new.csv"], root, rows)
        timed("luodi ingest", [luodi, "ingest", "goods", "../new.csv"], root, rows)


if __name__ == "__main__":
    main()
