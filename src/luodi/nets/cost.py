"""What training costs in time and energy, measured; what this machine cannot measure stays unknown."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")


@contextmanager
def measured() -> Iterator[dict[str, Any]]:
    """Yield a dict that holds, when the block has ended: seconds, cpu_seconds (all threads), joules or None.

    Joules are those of the processor packages (RAPL, Linux powercap), whoever used them meanwhile.
    """
    cost: dict[str, Any] = {}
    started, cpu, before = time.perf_counter(), time.process_time(), energy()
    yield cost
    after = energy()
    same = before.keys() == after.keys()
    spent = [(after[zone][0] - before[zone][0]) % (before[zone][1] + 1) for zone in before] if same else []
    cost |= {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "joules": round(sum(spent) / 1e6, 1) if spent else None,
    }


def energy(powercap: Path = POWERCAP) -> dict[str, tuple[int, int]]:
    """Return zone -> (microjoules counted so far, the count at which it starts again) of each processor package."""
    zones = {}
    for zone in sorted(powercap.glob("intel-rapl:*")):
        if zone.name.count(":") == 1:  # a package; those below it are its parts
            try:
                counts = [int((zone / name).read_text()) for name in ("energy_uj", "max_energy_range_uj")]
            except (OSError, ValueError):
                continue
            zones[zone.name] = (counts[0], counts[1])
    return zones
