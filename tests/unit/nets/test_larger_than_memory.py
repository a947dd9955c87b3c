"""Rows that do not fit into memory are trained on: they stay in their file, and a batch at a time is read."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from luodi.data import image
from luodi.nets import arrays
from luodi.nets.batches import Batches
from luodi.nets.checkpoints import Checkpoints, Store

# Private memory is bounded when all is imported and has run once; what is mapped from a file does not count to it.
TRAIN = """
import resource, sys
from pathlib import Path
from luodi.nets.stderr import quiet
with quiet():
    import numpy as np
    from luodi import config
    from luodi.data import image
    from luodi.nets import arrays, fitting
    from luodi.nets.checkpoints import Checkpoints, Store

pytestmark = pytest.mark.slow

folder, side, rows, more = Path(sys.argv[1]), 128, 4000, 128 << 20
encoder = image.Encoder(("a", "b"), side, side, 3, (0.4,) * 3, (0.3,) * 3)
x = np.lib.format.open_memmap(folder / "x.npy", "w+", "uint8", (rows, *encoder.shape))
x[::2, 0] = 255
del x
np.save(folder / "y.npy", np.arange(rows, dtype=np.int32) % 2)
settings = config.ImageSettings(
    modality="image",
    labels=encoder.labels,
    preprocess=config.ImagePreprocess(height=side, width=side, channels=3),
    train=config.ImageTrain(architecture="mlp", units=1, batch_size=16, epochs=1, patience=1),
)

def trained(*train):
    kept = Checkpoints(Store(str(folder / "kept")), b"")
    return fitting.fit_rows(settings, encoder, train, tuple(one[:64] for one in train), kept)

whole = arrays.load(folder / "x.npy", folder / "y.npy", encoder)
trained(*(one[:64] for one in whole))
held = next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (held + more,) * 2)
try:
    np.array(whole[0])
except MemoryError:
    print("DO NOT FIT", whole[0].nbytes > more)
trained(*arrays.load(folder / "x.npy", folder / "y.npy", encoder))
print("TRAINED")
"""


def test_no_more_than_a_few_batches_are_read_at_once(tmp_path: Path) -> None:
    """Where rows are checked, named by a checkpoint, and trained on in an order of their own."""
    encoder = image.Encoder(("a", "b"), 64, 64, 3, (0.4,) * 3, (0.3,) * 3)
    np.save(tmp_path / "x.npy", np.zeros((2000, *encoder.shape), np.uint8))
    np.save(tmp_path / "y.npy", np.arange(2000, dtype=np.int32) % 2)
    tracemalloc.start()
    x, y = arrays.load(tmp_path / "x.npy", tmp_path / "y.npy", encoder)
    Checkpoints(Store(str(tmp_path)), b"").of("here", x, y)
    for batch in (batches := Batches(x, y, 2, 16, seed=1)):
        assert len(batch[0]) == 16
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(batches) == 125
    assert peak < x.nbytes / 10


@pytest.mark.proof
def test_rows_that_do_not_fit_into_memory_are_trained_on(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", TRAIN, str(tmp_path)], capture_output=True, text=True, check=False)
    (tmp_path / "x.npy").unlink(missing_ok=True)
    assert done.returncode == 0, done.stderr[-2000:]
    said = [line for line in done.stdout.splitlines() if line.isupper() or line.startswith("DO NOT")]
    assert said == ["DO NOT FIT True", "TRAINED"]
