"""Divide each batch among devices of a host, and among hosts: each has all weights, and gradients are averaged.

By TensorFlow the devices of one host (`MirroredStrategy`), by JAX those of several too (Keras' `DataParallel`). By
`MultiWorkerMirroredStrategy` Keras 3.15 cannot fit: it reduces a batch of rows and labels as one tensor, which that
strategy refuses. It knows nothing of `ParameterServerStrategy`. PyTorch would need a process a device.

Each device draws its own dropout, and by TensorFlow each normalises the rows that it has.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras

from luodi.errors import LuodiError

CONFIG = '{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Sharing:
    """Devices, by Keras' names, of so many hosts, of which this process is one."""

    devices: tuple[str, ...]
    hosts: int = 1
    host: int = 0

    def __str__(self) -> str:
        """Nothing, of one device."""
        if len(self.devices) == 1:
            return ""
        hosts = f" on {self.hosts} hosts" if self.hosts > 1 else ""
        return f"{len(self.devices)} x {self.devices[0].partition(':')[0]}{hosts}"

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Build and train within it."""
        if len(self.devices) == 1:
            yield
        elif keras.backend.backend() == "tensorflow":
            with _mirrored(self.devices).scope():
                yield
        else:
            # Each host reads what its own devices take, see `Batches`.
            shared = keras.distribution.DataParallel(devices=self.devices, auto_shard_dataset=False)
            with shared.scope():
                yield


@cache
def _mirrored(devices: tuple[str, ...]) -> Any:
    """One a process: those of a second would take the sums of the first for theirs."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices)


def among(kind: str, wanted: str, hosts: int, host: int) -> Sharing:
    """Return the devices of a `kind`, cpu or gpu, that share a batch: `wanted` is one, or all of the host.

    With several hosts they are all of all hosts.
    """
    if keras.backend.backend() == "torch" or (wanted == "one" and hosts == 1):
        return Sharing((kind,))
    return Sharing(tuple(keras.distribution.list_devices(kind)), hosts, host)


def join() -> tuple[int, int]:
    """Return how many hosts TF_CONFIG names, and which this is; several find each other now, before all calculation.

    They are to be started together, and wait for each other.

    Raises:
        LuodiError: TF_CONFIG cannot be read, or names several hosts and the backend is not JAX.
    """
    addresses, host = _cluster(os.environ.get("TF_CONFIG") or "{}")
    if len(addresses) < 2:
        return 1, 0
    if keras.backend.backend() != "jax":
        raise LuodiError(
            f"TF_CONFIG names {len(addresses)} hosts, and Keras trains on several by JAX alone: set KERAS_BACKEND=jax "
            "(pip install 'luodi[jax]'), or unset TF_CONFIG to train on this host alone"
        )
    import jax  # type: ignore[import-not-found, unused-ignore]

    if not jax.distributed.is_initialized():
        keras.distribution.initialize(",".join(addresses), len(addresses), host)
    return len(addresses), host


def _cluster(text: str) -> tuple[list[str], int]:
    """The addresses that TF_CONFIG has, the chief's first, and the place of this process among them."""
    try:
        found: Any = json.loads(text)
        cluster, task = found.get("cluster", {}), found.get("task", {"type": "worker", "index": 0})
        kinds = {name: list(cluster.get(name, [])) for name in ("chief", "worker")}
        place = int(task["index"]) + (len(kinds["chief"]) if task["type"] == "worker" else 0)
        addresses = [str(one) for kind in kinds.values() for one in kind]
        if task["type"] not in kinds or not 0 <= place < max(len(addresses), 1):
            raise ValueError
    except (ValueError, LookupError, TypeError, AttributeError):
        raise LuodiError(
            f"TF_CONFIG cannot be used: expected JSON such as {CONFIG}, found {text}: correct it, or unset it to train "
            "on this host alone"
        ) from None
    return addresses, place
