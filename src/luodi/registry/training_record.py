"""What training cost and on what it ran, as the card and the page of training show it: made of the facts alone."""

from collections.abc import Mapping
from typing import Any

from luodi.report.document import Cell, Pair, Section, pairs
from luodi.report.formatting import MISSING, at, count, known, number, part, text, texts

WATTS = 10  # of a core that is busy: about what processors of servers are rated at, divided by their cores
COUNTED = "counted by the processors (RAPL): all that they used meanwhile, whoever used them"
ESTIMATED = f"estimated, for no counter of energy could be read: {WATTS} W for each core while it was busy"


def section(facts: Mapping[str, Any]) -> Section:
    """Return time and energy of training, by the facts of a version; any part of them may be missing."""
    title, training = "Time and energy of training", part(facts, "training")
    if "training" in facts and not training.keys() - {"candidates"}:
        return Section(title, "Not measured: no measurement came with the trained model.")
    rows: list[Pair] = [
        ("Time", number(at(training, "seconds"), "{:,.1f} s")),
        ("Processor time, all cores", number(at(training, "cpu_seconds"), "{:,.1f} s")),
        *_energy(training),
        ("Device", text(at(training, "device"))),
        ("Epochs", count(at(training, "epochs"))),
        *(_network(training) if at(training, "epochs") != 0 else ()),
    ]
    told = [*texts(training, "remarks"), *(f"An earlier try {one}" for one in texts(training, "tries"))]
    return Section(title, tables=[pairs(rows)], items=told)


def _energy(training: Mapping[str, Any]) -> list[Pair]:
    """As counted; else, of processors, estimated by their time: with the method."""
    joules, busy = at(training, "joules"), at(training, "cpu_seconds")
    method = COUNTED
    if "joules" in training and joules is None:
        if at(training, "device") == "gpu":
            return [("Energy", "not measured: that of a GPU is not counted")]
        joules, method = WATTS * busy if known(busy) else None, ESTIMATED
    energy = Cell(number(joules, "{:,.3g} Wh", 1 / 3600), number(joules, "{:,.0f} J") if known(joules) else "")
    return [("Energy", energy), ("Method of measuring it", method if known(joules) else MISSING)]


def _network(training: Mapping[str, Any]) -> list[Pair]:
    """What a network was trained on."""
    versions = [f"{name} {one}" for name, one in part(training, "versions").items()]
    without = training.get("peak_device_memory", "") is None
    return [
        ("Rows a second, validation included", count(at(training, "rows_per_second"))),
        (
            "Time to nearly its best accuracy on validation rows",
            number(at(training, "seconds_to_accuracy"), "{:,.1f} s"),
        ),
        ("Operations, an estimate", number(at(training, "gflops"), "{:,.3g} x 10⁹")),
        ("Most memory at once", _gib(training, "peak_memory")),
        ("Most memory of a GPU at once", "no GPU" if without else _gib(training, "peak_device_memory")),
        ("Hardware", text(at(training, "hardware"))),
        ("Devices that share a batch", count(at(training, "devices"))),
        ("Hosts that share a batch", count(at(training, "hosts"))),
        ("Backend", text(at(training, "backend"))),
        ("Versions", text(versions)),
        ("Precision of arithmetic", text(at(training, "precision"))),
        ("Threads", count(at(training, "threads"))),
        ("Widest instructions of the processor", text(at(training, "instructions"))),
    ]


def _gib(training: Mapping[str, Any], name: str) -> str:
    return number(at(training, name), "{:,.2f} GiB", 2**-30)
