"""What all benchmarks that keep records share: the surroundings of a run, the file, and the pieces of tables."""

import datetime
import json
import os
import platform
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import tsrec

Record = dict[str, Any]


def surroundings(peers: dict[str, str] | None, threads: int) -> Record:
    """When, where and with what."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        processor = named[0] if named else processor
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "machine": {"processor": processor, "cores": os.cpu_count(), "threads": threads},
        "versions": {
            "tsrec": f"{tsrec.__version__} ({_revision()})",
            "python": platform.python_version(),
            "torch": torch.__version__,
            "pandas": pd.__version__,
            "numpy": np.__version__,
        },
        **({"peers": peers} if peers else {}),
    }


def _revision() -> str:
    """The commit that was measured, and whether it was changed."""
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "revision unknown"


def read(path: Path) -> list[Record]:
    """All records of a file; none if there is no such file."""
    return json.loads(path.read_text()) if path.exists() else []


def append(path: Path, record: Record) -> None:
    """Add a record, which stands on a line of its own."""
    lines = [json.dumps(one) for one in [*read(path), record]]
    write(path, "[\n" + ",\n".join(lines) + "\n]\n")


def write(path: Path, text: str) -> None:
    """Write a file at once or not at all, so that an interruption leaves the earlier one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_text(text)
    draft.replace(path)


def grouped(records: list[Record], keys: tuple[str, ...]) -> dict[tuple[Any, ...], list[Record]]:
    """Records by what they have under these keys."""
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for one in records:
        groups[tuple(one[key] for key in keys)].append(one)
    return groups


def mean(runs: list[Record], key: str) -> float:
    """Mean of a figure over records."""
    return float(np.mean([run[key] for run in runs]))


def seeds(runs: list[Record]) -> str:
    """Their seeds, as text."""
    return ", ".join(str(seed) for seed in sorted({run["seed"] for run in runs}))


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
