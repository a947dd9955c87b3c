"""Rows that do not fit into memory are trained on: they stay in their file, and a batch at a time is read."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from luodi import config
from luodi.data import image
from luodi.nets import arrays
from luodi.nets.batches import Batches
from luodi.nets.checkpoints import Checkpoints, Store
from luodi.project.paths import ModelPaths

# Private memory is bounded when all is imported and has run once; what is mapped from a file does not count to it.
TRAIN = """
import resource, sys
from pathlib import Path
from luodi.nets.stderr import quiet
with quiet():
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image
    from luodi import config
    from luodi.data import image
    from luodi.nets import arrays, fitting
    from luodi.nets.checkpoints import Checkpoints, Store
    from luodi.project.paths import ModelPaths

pytestmark = pytest.mark.slow

folder, side, rows, more = Path(sys.argv[1]), 128, 4000, 128 << 20
encoder = image.Encoder(("a", "b"), side, side, 3, (0.4,) * 3, (0.3,) * 3)
pixels = np.zeros((2, *encoder.shape), np.uint8)
pixels[0, 0] = 255
pngs = [image.png(Image.fromarray(one)) for one in pixels]
label = np.arange(rows, dtype=np.int32) % 2
paths = ModelPaths(folder, "m")
paths.rows.parent.mkdir(parents=True)
kinds = pa.schema([("image", pa.binary()), ("label", pa.int32()), ("split", pa.string())])
with pq.ParquetWriter(paths.rows, kinds) as out:
    for start in range(0, rows, 100):
        out.write_table(pa.table({"image": pngs * 50, "label": label[start:start + 100], "split": ["train"] * 100}))
settings = config.ImageSettings(
    modality="image",
    labels=encoder.labels,
    preprocess=config.ImagePreprocess(height=side, width=side, channels=3),
    train=config.ImageTrain(architecture="mlp", units=1, batch_size=16, epochs=1, patience=1),
)

def trained(*train):
    kept = Checkpoints(Store(str(folder / "kept")), b"")
    return fitting.fit_rows(settings, encoder, train, tuple(one[:64] for one in train), kept)

whole = arrays.load("train", settings, paths, encoder)
trained(*(one[:64] for one in whole))
held = next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (held + more,) * 2)
try:
    np.array(whole[0])
except MemoryError:
    print("DO NOT FIT", whole[0].nbytes > more)
trained(*arrays.load("train", settings, paths, encoder))
print("TRAINED")
"""


def test_no_more_than_a_few_batches_are_read_at_once(tmp_path: Path) -> None:
    """Where rows are checked, named by a checkpoint, and trained on in an order of their own."""
    encoder = image.Encoder(("a", "b"), 64, 64, 3, (0.4,) * 3, (0.3,) * 3)
    settings = config.ImageSettings(
        modality="image",
        labels=encoder.labels,
        preprocess=config.ImagePreprocess(height=64, width=64, channels=3),
        train=config.ImageTrain(architecture="mlp"),
    )
    paths = ModelPaths(tmp_path, "m")
    paths.rows.parent.mkdir(parents=True)
    items = [image.png(Image.new("RGB", (64, 64)))] * 2000
    columns = {"image": items, "label": pa.array([0, 1] * 1000, pa.int32()), "split": ["train"] * 2000}
    pq.write_table(pa.table(columns), paths.rows, row_group_size=100)
    arrays.load("train", settings, paths, encoder)  # what is imported and pooled once
    tracemalloc.start()
    x, y = arrays.load("train", settings, paths, encoder)
    Checkpoints(Store(str(tmp_path)), b"").of("here", x, y)
    for batch in (batches := Batches(x, y, 2, 16, seed=1)):
        assert len(batch[0]) == 16
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(batches) == 125
    assert peak < x.nbytes / 5  # most of it is what threads encode at a time


@pytest.mark.proof
def test_rows_that_do_not_fit_into_memory_are_trained_on(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", TRAIN, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = [line for line in done.stdout.splitlines() if line.isupper() or line.startswith("DO NOT")]
    assert said == ["DO NOT FIT True", "TRAINED"]
