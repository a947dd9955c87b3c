"""What the kernel lets this process have: processors, memory, instructions; and whom it ended for want of memory.

A container has less than its host: its share stands in control groups, of version 1 or 2.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
MORE_MEMORY = "give it more memory, or lower train.batch_size, or train.table and train.embedding, in params.yaml"
UNLIMITED = 1 << 60  # version 1 has no word for it: a number about as large as there is


def boot() -> str:
    """Return what tells this start of the host from all others; nothing where the system does not say."""
    return _text(PROC / "sys/kernel/random/boot_id") or ""


def cores(cgroups: Path = CGROUPS) -> int:
    """Return how many processors this process may keep busy at once."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for group in _groups("cpu", cgroups):
        quota, period = (_text(group / "cpu.max") or "max 100000").split()
        if (old := _text(group / "cpu.cfs_quota_us")) is not None and old != "-1":
            quota, period = old, _text(group / "cpu.cfs_period_us") or period
        if quota != "max":
            count = min(count, max(1, math.ceil(int(quota) / int(period))))
    return count


def kills(cgroups: Path = CGROUPS) -> int | None:
    """Return how often the kernel ended a process here because memory ran out; None where it does not count."""
    for group in _groups("memory", cgroups):
        for name in ("memory.events", "memory.oom_control"):
            if (found := _field(group / name, "oom_kill")) is not None:
                return found
    return _field(PROC / "vmstat", "oom_kill")


def memory(cgroups: Path = CGROUPS) -> tuple[int | None, int | None]:
    """Return (bytes that this process may use, bytes of them that are free); None where the system does not say.

    What the kernel keeps of files to have them at hand counts as free: it gives that back.
    """
    limit, free = (_field(PROC / "meminfo", name, 1024) for name in ("MemTotal", "MemAvailable"))
    for group in _groups("memory", cgroups):
        most = _number(group / "memory.max") or _number(group / "memory.limit_in_bytes")
        used = _number(group / "memory.current") or _number(group / "memory.usage_in_bytes")
        if most is None or used is None or most >= UNLIMITED:
            continue
        stat = group / "memory.stat"
        cached = _field(stat, "total_inactive_file") or _field(stat, "inactive_file") or 0
        limit, free = min(most, limit or most), min(most - used + cached, free or most)
    return limit, free


def instructions() -> str:
    """Return the widest instructions for arithmetic that are used here, on which trained bytes depend: "AVX512"."""
    flags = set((_text(PROC / "cpuinfo") or "").partition("\nflags")[2].partition("\n")[0].split())
    named = {"amx_tile": "AMX", "avx512f": "AVX512", "avx2": "AVX2", "avx": "AVX"}
    found = next((name for flag, name in named.items() if flag in flags), os.uname().machine)
    told = os.environ.get("ONEDNN_MAX_CPU_ISA")
    return f"{found}, oneDNN at most {told}" if told else found


def processor() -> str:
    """Return what the system calls the processor of this machine; its kind, where it says no name."""
    lines = (_text(PROC / "cpuinfo") or "").splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, os.uname().machine)


def _groups(controller: str, cgroups: Path) -> Iterator[Path]:
    """The control groups of this process, its own first, as far as they can be seen here."""
    for line in (_text(PROC / "self/cgroup") or "").splitlines():
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        top = cgroups / controller if names else cgroups
        own = top / path.lstrip("/")
        while own != top:
            if own.is_dir():
                yield own
            own = own.parent
        yield top


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    found = _text(path)
    return int(found) if found and found.isdigit() else None


def _field(path: Path, name: str, unit: int = 1) -> int | None:
    """The number behind a name, a line each."""
    for line in (_text(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if key.rstrip(":") == name:
            return int(value.split()[0]) * unit
    return None
