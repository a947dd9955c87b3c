"""`luodi validate` and `luodi preprocess` on many small images: rows a second, and the most memory they held.

    python benchmarks/images.py --rows 100000

Rows are scikit-learn's digits, enlarged to 28 x 28, with noise of their own, so that none is a duplicate: real
PNG files, half a kilobyte each.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SIDE = 28
PART = 10_000
SCHEMA = pa.schema([("image", pa.binary()), ("label", pa.string()), ("source", pa.string())])


def write_shard(path: Path, rows: int) -> None:
    """Write `rows` images of digits as one shard."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    large = [
        Image.fromarray(np.uint8(image * 15)).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for image in digits.images
    ]
    bases, rng = np.stack([np.asarray(image) for image in large]), np.random.default_rng(0)
    path.parent.mkdir(parents=True)
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for start in range(0, rows, PART):
            chosen = rng.integers(0, len(bases), min(PART, rows - start))
            noisy = bases[chosen] + rng.integers(0, 16, (len(chosen), SIDE, SIDE), np.uint8)
            labels = [str(label) for label in digits.target[chosen]]
            writer.write_table(pa.table([[png(one) for one in noisy], labels, ["noise"] * len(chosen)], schema=SCHEMA))


def png(pixels: "np.ndarray[tuple[int, int], np.dtype[np.uint8]]") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def measure(root: Path, stage: str) -> tuple[float, float]:
    """Run a stage on `digits` as a process of its own: seconds, and its peak memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen([Path(sys.executable).with_name("luodi"), stage, "digits"], cwd=root)
    _, status, used = os.wait4(process.pid, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit(f"luodi {stage} ended with {code}")
    return time.perf_counter() - start, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("params.yaml", "params.lock", "luodi.lock"):
            shutil.copy(ROOT / name, root)
        write_shard(root / "data" / "digits" / "noisy.parquet", rows)
        for stage in ("validate", "preprocess"):
            seconds, peak = measure(root, stage)
            print(
                f"luodi {stage}: {rows / seconds:,.0f} rows/s, {seconds:.1f} s, peak memory {peak:,.0f} MiB", flush=True
            )


if __name__ == "__main__":
    main()
