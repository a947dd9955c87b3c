"""Networks that train on all cores end with the same bytes on any number of threads."""

import subprocess
import sys

import pytest

from luodi.nets import catalogue

# A child for each number of threads: a process that has begun to calculate keeps its own.
TRAIN = """
import hashlib, os, sys
from luodi.nets.stderr import quiet
with quiet():
    import numpy as np
    from luodi import config
    from luodi.data import image, text
    from luodi.nets import catalogue, hardware, training
    from luodi.nets.batches import Batches

TEXTS = text.Encoder(("a", "b", "c"), "char", 300, 16, (), tuple(map(chr, range(0x4E00, 0x4E00 + 3998))))
PICTURES = image.Encoder(("a", "b", "c"), 64, 64, 3, (0.4,) * 3, (0.3,) * 3)
SETTINGS = {"text": (config.TextTrain(embedding=96, units=200), TEXTS), "image": (config.ImageTrain(), PICTURES)}

def trained(one, threads):
    settings, encoder = SETTINGS[one.modality]
    used = hardware.use(settings.model_copy(update={"threads": threads}), False)
    assert used.threads == threads, used
    rng = np.random.default_rng(0)
    x = rng.integers(0, encoder.size, (300, *encoder.shape)).astype(encoder.dtype)
    data = Batches(x, rng.integers(0, 3, 300).astype(np.int32), 3, 64, seed=1)
    training.make_deterministic(7)
    model = one.build(settings, encoder)
    training.compile_model(model, settings, 3, len(data))
    model.fit(data, epochs=2, shuffle=False, verbose=0)
    return hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()

for threads in (1, 3, 8):
    if not os.fork():
        for one in catalogue.ARCHITECTURES:
            if one.any_threads:
                print(threads, one.modality, one.name, trained(one, threads), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
"""


@pytest.mark.slow
def test_what_trains_on_all_cores_gives_the_same_bytes_on_any_number() -> None:
    done = subprocess.run([sys.executable, "-c", TRAIN], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    named = {(one.modality, one.name) for one in catalogue.ARCHITECTURES if one.any_threads}
    for modality, name in named:
        found = [line[3] for line in lines if line[1:3] == [modality, name]]
        assert len(found) == 3
        assert len(set(found)) == 1, f"{name} for {modality} depends on the number of threads"
    assert ("text", "ngram") in named
