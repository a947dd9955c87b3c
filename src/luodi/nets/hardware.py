"""What training runs on: chosen, told, and recorded beside its cost."""

import gc
import importlib.metadata
import math
import os
import platform
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import keras

from luodi.config import Training
from luodi.errors import MemoryExhausted
from luodi.nets import sharing
from luodi.nets.sharing import Sharing
from luodi.system import resources

SLOTS = {"adam": 2, "sgd": 1}  # numbers that the optimizer keeps of each weight
BYTES = 4  # of a float32
CAPABLE = 8.0  # the compute capability from which on NVIDIA's processors calculate in bfloat16


@dataclass(frozen=True)
class Hardware:
    """What trains: a backend of Keras on a device, in a precision, on threads; the widest instructions there are.

    `sharing` are the devices that share each batch, of this host and of others.
    """

    backend: str
    device: str
    precision: str
    threads: int
    instructions: str
    sharing: Sharing

    def __str__(self) -> str:
        by = f"{self.threads} thread{'' if self.threads == 1 else 's'}, {self.instructions}"
        return f"{str(self.sharing) or self.device} ({by}), {self.precision}, by {self.backend}"

    @property
    def decides(self) -> str:
        """What of it decides the trained bytes; the number of threads, where it does, is a setting."""
        instructions = self.instructions if self.device == "cpu" else ""
        return f"{self.backend} {self.device} {self.precision} {instructions}{self.sharing}"

    def facts(self) -> dict[str, Any]:
        """As JSON has it, with the versions behind it."""
        own = asdict(self)
        sharing = own.pop("sharing")
        versions = {name: importlib.metadata.version(name) for name in ("keras", "numpy", self.backend)}
        counts = {"devices": len(sharing["devices"]), "hosts": sharing["hosts"], "hardware": _named(self.device)}
        return own | counts | {"versions": {"python": platform.python_version(), **versions}}


def use(settings: Training, any_threads: bool) -> Hardware:
    """Choose what to train on; a process that has begun to calculate keeps its number of threads.

    Args:
        any_threads: The trained bytes are the same on any number of threads, so all cores may help.

    Raises:
        LuodiError: TF_CONFIG names hosts that cannot train together.
    """
    hosts = sharing.join()
    threads = _threads(resources.cores() if any_threads else settings.threads)
    kind = device()
    return Hardware(
        keras.backend.backend(),
        kind,
        precision(settings.precision),
        threads,
        resources.instructions(),
        sharing.among(kind, settings.devices, *hosts),
    )


def _threads(count: int) -> int:
    """Calculate on that many threads; return how many they are."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        try:
            tf.config.threading.set_intra_op_parallelism_threads(count)
            tf.config.threading.set_inter_op_parallelism_threads(count)
        except RuntimeError:  # it has begun
            return tf.config.threading.get_intra_op_parallelism_threads() or resources.cores()
        return count
    if keras.backend.backend() == "torch":
        import torch  # type: ignore[import-not-found, unused-ignore]

        torch.set_num_threads(count)
        return count
    return os.cpu_count() or 1  # JAX takes what the machine has


def device() -> str:
    """Return "gpu" if the backend sees one, else "cpu"."""
    if keras.backend.backend() == "torch":  # for which Keras cannot list devices
        import torch  # type: ignore[import-not-found, unused-ignore]

        return "gpu" if torch.cuda.is_available() else "cpu"
    if keras.backend.backend() == "jax":  # which raises where there is none, by Keras too
        import jax  # type: ignore[import-not-found, unused-ignore]

        return "gpu" if jax.default_backend() == "gpu" else "cpu"
    return "gpu" if keras.distribution.list_devices("gpu") else "cpu"


def _named(device: str) -> list[str]:
    """What this machine's processor is called, with the cores that this process may use; and its first GPU."""
    cores = resources.cores()
    found = [f"{resources.processor()}, {cores} core{'' if cores == 1 else 's'}"]
    if device != "gpu":
        return found
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
        return [*found, details.get("device_name", "GPU")]
    if keras.backend.backend() == "torch":
        import torch  # type: ignore[import-not-found, unused-ignore]

        return [*found, torch.cuda.get_device_name()]
    import jax  # type: ignore[import-not-found, unused-ignore]

    return [*found, jax.devices()[0].device_kind]


def precision(wanted: str) -> str:
    """Return the precision to train in: for "auto" mixed_bfloat16 where a GPU calculates in it, else float32."""
    if wanted != "auto":
        return wanted
    return "mixed_bfloat16" if device() == "gpu" and _capability() >= CAPABLE else "float32"


def _capability() -> float:
    """The compute capability of the first GPU, as NVIDIA counts it; 0 if it is not one of theirs."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
        major, minor = details.get("compute_capability", (0, 0))
    elif keras.backend.backend() == "torch":
        import torch  # type: ignore[import-not-found, unused-ignore]

        major, minor = torch.cuda.get_device_capability()
    else:
        import jax  # type: ignore[import-not-found, unused-ignore]

        return float(getattr(jax.devices()[0], "compute_capability", 0))
    return float(f"{major}.{minor}")


def memory_needed(model: keras.Model, settings: Training) -> int:
    """Return about how many bytes training takes beside the model itself and its data.

    Of each weight: its gradient, what the optimizer keeps of it, the best value so far, and a copy of all of them while
    a checkpoint is written. Of each row of a batch: what every layer gives, and its gradient.
    """
    weights = sum(math.prod(one.shape) for one in model.weights)
    rows = sum(math.prod(shape[1:]) for layer in model.layers for shape in _shapes(layer.output))
    slots = SLOTS[settings.optimizer]
    return int(BYTES * (weights * (1 + slots + 1 + (1 + slots)) + 2 * rows * settings.batch_size))


def trained(model: keras.Model) -> int:
    """Return how many numbers training moves."""
    return sum(math.prod(one.shape) for one in model.trainable_variables)


def flops(model: keras.Model) -> int:
    """Return about how many operations one row takes forward: two for each product with a matrix of weights.

    A kernel counts at each place that it is moved to, a recurrent one at each step; what is looked up, normalised or
    pooled counts nothing. Training takes three times as many: backward it is two products for each.
    """
    return sum(_flops(layer) for layer in _leaves(model) if not isinstance(layer, keras.layers.Embedding))


def _leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        yield from _leaves(layer) if isinstance(layer, keras.Model) else [layer]


def _flops(layer: keras.layers.Layer) -> int:
    matrices = sum(math.prod(one.shape) for one in layer.weights if len(one.shape) > 1)
    steps = _shapes(layer.input if isinstance(layer, keras.layers.RNN) else layer.output) if matrices else []
    return int(2 * matrices * sum(math.prod(shape[1:-1]) for shape in steps))


def _shapes(outputs: Any) -> list[tuple[int, ...]]:
    """The shapes of what a layer gives; a dimension that may be any counts as 1."""
    return [tuple(side or 1 for side in one.shape) for one in keras.tree.flatten(outputs)]


def shortage(model: keras.Model, settings: Training) -> str | None:
    """Return a sentence if training is about to need more memory than there is here; None where it fits."""
    needed, (limit, free) = memory_needed(model, settings), resources.memory()
    if free is None or needed <= free:
        return None
    return (
        f"memory will hardly do: training takes about {_gib(needed)} more, and of {_gib(limit or free)} that this "
        f"process may use {_gib(free)} are free; {resources.MORE_MEMORY}"
    )


def peak_memory() -> int:
    """Return the most bytes of main memory that this process has held at once."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peak_device_memory() -> int | None:
    """Return the most bytes of the first GPU's memory that this process has held at once; None without one."""
    if device() != "gpu":
        return None
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    if keras.backend.backend() == "torch":
        import torch  # type: ignore[import-not-found, unused-ignore]

        return int(torch.cuda.max_memory_allocated())
    import jax  # type: ignore[import-not-found, unused-ignore]

    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


@contextmanager
def enough_memory() -> Iterator[None]:
    """Turn what the backends raise where an allocation fails into an error for people; the kernel's kill it is not."""
    try:
        yield
    except Exception as error:
        exhausted = isinstance(error, MemoryError) or type(error).__name__ in (
            "ResourceExhaustedError",
            "OutOfMemoryError",
        )
        if not exhausted and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise MemoryExhausted(f"memory of the {device()} ran out in training: {resources.MORE_MEMORY}") from None


def free_memory() -> None:
    """Give back what a training held that came to nothing."""
    keras.backend.clear_session()
    gc.collect()


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
