"""Measure the CPU kernels against floors and against what else a user has: ``python benchmarks/kernels.py``.

Times are medians of whole calls of the public operators, allocation of results included, in milliseconds. Candidates
of one row run interleaved in random order, on buffers rotated out of the cache. A floor is a plain torch operation
with ``out=`` that moves the same words (``add``: 3 per element, ``mul`` with a row: 2) or, for selective scans,
computes the same number of exponentials. ``bwd`` is the backward pass alone, ``both`` forward and backward.
"""

import argparse
import json
import os
import platform
from pathlib import Path

import _kernels_conv
import _kernels_first_call
import _kernels_scan
import _kernels_selective
import _kernels_tcn
import numba
import torch

from tsrec.kernels import linear_scan

PARTS = {
    "scan": _kernels_scan.measure,
    "selective": _kernels_selective.measure,
    "conv": _kernels_conv.measure_dilated,
    "fft": _kernels_conv.measure_fft,
    "tcn": _kernels_tcn.measure,
    "first": _kernels_first_call.measure,
}


def circumstances(threads: int) -> dict[str, object]:
    torch.set_num_threads(threads)
    large = torch.rand(64, 64, 512)
    linear_scan(large, large)
    try:
        layer = numba.threading_layer()
    except ValueError:
        layer = "serial kernels only"
    return {
        "threads": torch.get_num_threads(),
        "threading layer": layer,
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "unset"),
        "torch": torch.__version__,
        "numba": numba.__version__,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--only", choices=sorted(PARTS), nargs="*", default=sorted(PARTS))
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    torch.manual_seed(0)
    record: dict[str, object] = dict(circumstances(options.threads))
    print(", ".join(f"{key}: {value}" for key, value in record.items()))
    for part in options.only:
        record[part] = PARTS[part](options.repeats)
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
