"""Memory of one step of a benchmark; Linux only."""

from pathlib import Path


def memory(kind: str) -> float:
    """GiB in use now (VmRSS), or at most since :func:`forget_peak` (VmHWM)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind))
    return int(line.split()[1]) / 2**20


def forget_peak() -> None:
    """Let the largest memory so far be what is in use now."""
    Path("/proc/self/clear_refs").write_text("5")
