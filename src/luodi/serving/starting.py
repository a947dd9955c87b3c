"""What `luodi serve` does before it answers: find the versions, prove and warm them, and say what is served where."""

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from PIL import Image

from luodi.data.image import png
from luodi.errors import LuodiError
from luodi.registry.classifier import Registered
from luodi.serving import server
from luodi.serving.app import Service
from luodi.serving.following import Followed, Follower, Ready
from luodi.serving.limits import Limits
from luodi.serving.log import CANARY, SHADOW
from luodi.serving.metrics import Metrics
from luodi.serving.served import Loaded, Model, Observer
from luodi.serving.sources import Source
from luodi.system.resources import cores

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Beside:
    """A version that is served beside that in production.

    Attributes:
        version: Such as "reviews@v1.1.0".
        share: Of requests that it answers; None is a shadow, which answers none.
    """

    version: str
    share: float | None = None

    @property
    def role(self) -> str:
        return SHADOW if self.share is None else CANARY


@dataclass(frozen=True)
class Prepared:
    """Versions that are loaded, proven and warm, and where the next ones come from."""

    service: Service
    followed: Sequence[Followed]
    ready: Ready

    def follower(self, every: float, soon: Callable[..., object], tell: Tell) -> Follower:
        """Return what follows the registry; `soon` calls a function on the event loop."""
        found = Follower(self.followed, self.ready, every, soon, tell)
        self.service.refresh = found.refresh
        return found


def prepare(
    sources: Sequence[Source],
    *,
    beside: Sequence[Beside] = (),
    limits: Limits,
    tokens: Sequence[str] = (),
    threads: int | None = None,
    observer: Observer | None = None,
) -> Prepared:
    """Load the versions in production of `sources`, and those beside them.

    Args:
        threads: Of a model's operations; None is one, or all processors of this process where an item takes long.
        observer: Is handed each answer.

    Raises:
        LuodiError: A version is not there, or is not what was registered.
    """
    metrics = Metrics()
    models = {source.model: Model(source.model, metrics, limits.queue, observer) for source in sources}
    ready = partial(_ready, threads=threads)
    followed = []
    for source in sources:
        model = models[source.model]
        model.put(ready(model, source, source.current().version, source.stage))
        own = [one for one in beside if one.version.partition("@")[0] == source.model]
        for one in own:
            model.put(ready(model, source, one.version, one.role))
            model.share = one.share or model.share
        # A canary of the registry is followed from the first look on: one that is broken must not stop the server.
        followed.append(Followed(model, source, beside=all(one.role != CANARY for one in own)))
    return Prepared(Service(models, metrics, limits, refresh=lambda: None, tokens=tokens), followed, ready)


def serve(prepared: Prepared, where: socket.socket, every: float, tell: Tell) -> None:
    """Answer until a signal ends it.

    Args:
        every: Seconds between two looks at the registry; 0 is only when it is asked to.
    """
    _tell(prepared.service.models, where, tell)
    server.run(prepared.service, where, lambda soon: prepared.follower(every, soon, tell))
    tell("all that was asked is answered: the server has ended")


def _ready(model: Model, source: Source, version: str, role: str, threads: int | None) -> Loaded:
    """Bring a version, prove it, warm it.

    A quick one has one thread: others would spin for work after each batch, on processors that the server needs.
    """
    loaded = _loaded(model, source, version, role, threads or 1)
    if threads is None and not loaded.batcher.quick and cores() > 1:
        return _loaded(model, source, version, role, cores())
    return loaded


def _loaded(model: Model, source: Source, version: str, role: str, threads: int) -> Loaded:
    classifier = source.load(version, threads)
    if model.answering() and model.modality != classifier.encoder.modality:
        raise LuodiError(f"{version} classifies {classifier.encoder.modality}s, {model.current.name} {model.modality}s")
    return model.ready(classifier, role, _sample(classifier))


def _sample(classifier: Registered) -> str | bytes:
    """An item of the kind that a version reads."""
    samples: dict[str, str | bytes] = {"text": "一二三 one two three", "image": png(Image.new("L", (8, 8)))}
    return samples[classifier.encoder.modality]


def _tell(models: Mapping[str, Model], where: socket.socket, tell: Tell) -> None:
    host, port = where.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    for model in models.values():
        for one in (*model.answering(), model.shadow):
            if one:
                share = f", {model.share:.0%} of requests" if one.role == CANARY and one is not model.current else ""
                tell(f"{one.name} ({one.role}{share})  {address}/predict/{model.name}")
    tell(f"how to ask: {address}/docs")
