"""`luodi predict --output` on more texts than memory holds, beside the bare cleaning, encoding and ONNX Runtime calls.

    luodi pull reviews serving/reviews
    python benchmarks/bulk.py serving/reviews --rows 10000000

Rows are those of `benchmarks/preprocess.py`. Processor seconds, for the machine may have other work; the floor is of
some of the rows, in one thread.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from preprocess import corpus, timed

from luodi.data import text
from luodi.scoring import inference

CHUNK = 500_000  # rows made at a time
FEW = 50_000  # rows of the floor


def write(path: Path, rows: int, folder: Path) -> list[str]:
    """Write `rows` texts with their numbers; return the first."""
    table, made = corpus(folder, min(rows, CHUNK)), 0
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        while made < rows:
            part = table.slice(0, min(CHUNK, rows - made))
            numbers = pa.array(np.arange(made, made + len(part)))
            file.write_table(pa.Table.from_arrays([numbers, part["text"].cast(pa.string())], schema=schema))
            made += len(part)
    found: list[str] = table["text"].slice(0, FEW).to_pylist()
    return found


def floor(folder: Path, texts: list[str]) -> float:
    """Return the processor microseconds of a text that cleaning, encoding and ONNX Runtime take, 256 at a time."""
    model = inference.Classifier.load(folder)
    start = time.process_time()
    for at in range(0, len(texts), inference.BATCH):
        clean = text.clean(text.column(texts[at : at + inference.BATCH]))
        inference.run_session(model.session, model.encoder.encode(clean.to_pylist()))
    return 1e6 * (time.process_time() - start) / len(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a folder of `luodi pull`")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--into", default="parquet", choices=("parquet", "csv", "jsonl"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as room:
        source = Path(room) / "in.parquet"
        texts = write(source, options.rows, Path(room) / "data")
        print(f"floor: {floor(options.model, texts):.1f} microseconds of processor a row, one thread", flush=True)
        command: list[str | Path] = [Path(sys.executable).with_name("luodi"), "predict", f"{options.model.resolve()}/"]
        command += ["--input", source.name, "--output", f"out.{options.into}"]
        timed("luodi predict", command, Path(room), options.rows)


if __name__ == "__main__":
    main()
