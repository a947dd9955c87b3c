"""What the kernel lets a process have, by control groups of both versions; a kill for want of memory is told."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from luodi.system import resources

V1 = {
    "memory/memory.limit_in_bytes": "9223372036854771712",
    "memory/memory.usage_in_bytes": "5000000000",
    "memory/pods/one/memory.limit_in_bytes": "2147483648",
    "memory/pods/one/memory.usage_in_bytes": "1073741824",
    "memory/pods/one/memory.stat": "cache 300\ntotal_inactive_file 73741824\n",
    "memory/pods/one/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    "cpu/pods/one/cpu.cfs_quota_us": "150000",
    "cpu/pods/one/cpu.cfs_period_us": "100000",
}
V2 = {
    "pods/memory.max": "max",
    "pods/memory.current": "5000000000",
    "pods/one/memory.max": "2147483648",
    "pods/one/memory.current": "1073741824",
    "pods/one/memory.stat": "anon 300\ninactive_file 73741824\n",
    "pods/one/memory.events": "low 0\noom 4\noom_kill 3\n",
    "pods/one/cpu.max": "150000 100000",
}
OWN = {"1": "4:memory:/pods/one\n3:cpu,cpuacct:/pods/one\n0::/\n", "2": "0::/pods/one\n"}


@pytest.fixture
def cgroups(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files as a kernel with control groups of that version has them, of a container of 2 GiB and 1.5 processors."""
    files = {"1": V1, "2": V2}[request.param]
    for name, text in files.items():
        (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cgroup" / name).write_text(text)
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "cgroup").write_text(OWN[request.param])
    (tmp_path / "proc" / "meminfo").write_text("MemTotal:  16777216 kB\nMemAvailable:  8388608 kB\n")
    monkeypatch.setattr(resources, "PROC", tmp_path / "proc")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8))
    return tmp_path / "cgroup"


@pytest.mark.parametrize("cgroups", ["1", "2"], indirect=True)
def test_a_container_has_its_share(cgroups: Path) -> None:
    assert resources.cores(cgroups) == 2
    assert resources.kills(cgroups) == 3
    assert resources.memory(cgroups) == (2147483648, 2147483648 - 1073741824 + 73741824)


@pytest.mark.parametrize("cgroups", ["1", "2"], indirect=True)
def test_without_control_groups_there_is_what_the_host_has(cgroups: Path) -> None:
    (resources.PROC / "vmstat").write_text("pgfault 9\noom_kill 7\n")
    nowhere = cgroups / "nowhere"
    assert (resources.cores(nowhere), resources.kills(nowhere)) == (8, 7)
    assert resources.memory(nowhere) == (16 << 30, 8 << 30)


@pytest.mark.parametrize(
    ("flags", "told", "name"),
    [
        ("sse avx avx2", None, "AVX2"),
        ("avx avx2 avx512f", None, "AVX512"),
        ("avx2 avx512f", "AVX2", "AVX512, oneDNN at most AVX2"),
    ],
)
def test_names_the_widest_instructions(
    flags: str, told: str | None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\nbugs\t\t: x\n")
    monkeypatch.setattr(resources, "PROC", tmp_path)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if told:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", told)
    assert resources.instructions() == name


@pytest.fixture
def small() -> Iterator[Path]:
    """A control group, made below our own, of 100 MiB."""
    for group in resources._groups("memory", resources.CGROUPS):
        made = group / f"luodi-test-{os.getpid()}"
        try:
            made.mkdir()
            limit = next(made / name for name in ("memory.max", "memory.limit_in_bytes") if (made / name).exists())
            limit.write_text(str(100 << 20))
        except (OSError, StopIteration):
            if made.is_dir():
                made.rmdir()
            continue
        yield made
        made.rmdir()
        return
    pytest.skip("no control group can be made here: that takes root, and a writable /sys/fs/cgroup")


HUNGRY = """
import sys
from luodi.system import guard
guard.contain()
held = bytearray(int(sys.argv[-1]) << 20)
for place in range(0, len(held), 4096):
    held[place] = 1
"""


@pytest.mark.parametrize(("megabytes", "code"), [(400, 137), (1, 0)])
def test_a_real_kill_by_the_kernel_is_told(small: Path, megabytes: int, code: int) -> None:
    enter = ("sh", "-c", 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"', "sh", str(small))
    command = (*enter, sys.executable, "-c", HUNGRY, "train", str(megabytes))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = (
        f"error: memory ran out: the kernel ended `luodi train {megabytes}`, which may use 0.1 GiB here; "
        f"{resources.MORE_MEMORY}\n"
    )
    assert (done.returncode, done.stderr) == (code, told if code else "")


def test_a_kill_that_is_not_the_kernels_is_not_taken_for_one() -> None:
    script = f"{HUNGRY}\nimport os; os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", script, "1"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (137, "")
