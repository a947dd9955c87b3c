"""What Prometheus reads at /metrics. A version that has gone keeps its counts: they only ever grow."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from luodi.serving.log import Log

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, that nobody asks for
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
OF = ("model", "version", "role")


class Metrics:
    """The figures of one server. `role` is production, canary or shadow."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.requests = Counter(
            "luodi_requests", "Requests, by the status of HTTP that they were answered with.", ("model", "code"),
            registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "luodi_request_seconds", "From a whole request to its answer.", OF, buckets=SECONDS, registry=registry
        )
        self.batches = Histogram(
            "luodi_batch_items", "Items predicted at a time.", ("model", "version"), buckets=ITEMS, registry=registry
        )
        self.answers = Counter(
            "luodi_answers", "Items, by the label that each was given; empty where it cannot be classified.",
            (*OF, "label"), registry=registry,
        )  # fmt: skip
        self.shadows = Counter(
            "luodi_shadow_items", "Items scored by a shadow: same label as the version that answered, another, or "
            "dropped because it was too slow.", ("model", "version", "against", "outcome"), registry=registry,
        )  # fmt: skip
        self.served = Gauge(
            "luodi_version_served", "1 where a version answers, or is a shadow; 0 where it did.", OF, registry=registry
        )
        self.since = Gauge(
            "luodi_version_since_seconds", "Unix time since when a version answers.", OF, registry=registry
        )
        self.failures = Counter(
            "luodi_follow_failures", "Tries to follow the registry that failed; the version before goes on.",
            ("model",), registry=registry,
        )  # fmt: skip
        self.behind = Gauge(
            "luodi_behind", "1 while the version in production could not be taken over.", ("model",), registry=registry
        )
        self.waiting = Gauge("luodi_waiting_items", "Items that wait for their turn.", ("model",), registry=registry)
        # To look up the figures of one version costs as much as to count them.
        self.of: Callable[[str, str, str], OfVersion] = cache(lambda *key: OfVersion(self, *key))
        self.shadow: Callable[[str, str, str, str], Any] = cache(self.shadows.labels)
        self.code: Callable[[str, int], Any] = cache(lambda model, code: self.requests.labels(model, str(code)))

    def watch(self, log: Log) -> None:
        """Show what becomes of the rows of the request log."""
        rows = Gauge("luodi_log_rows", "Rows of the request log, by what became of them.", ("what",),
                     registry=self.registry)  # fmt: skip
        for what in ("written", "dropped"):
            rows.labels(what).set_function(partial(_count, log, what))
        failed = Gauge("luodi_log_failures", "Tries to write a file of the request log that failed.",
                       registry=self.registry)  # fmt: skip
        failed.set_function(lambda: log.counts.failed)

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self.registry)


def _count(log: Log, what: str) -> int:
    return int(getattr(log.counts, what))


class OfVersion:
    """The figures of one version in one role."""

    def __init__(self, metrics: Metrics, model: str, version: str, role: str) -> None:
        self.seconds = metrics.seconds.labels(model, version, role)
        self.batches = metrics.batches.labels(model, version)
        self.served = metrics.served.labels(model, version, role)
        self.since = metrics.since.labels(model, version, role)
        self.label: Callable[[str], Any] = cache(lambda label: metrics.answers.labels(model, version, role, label))
