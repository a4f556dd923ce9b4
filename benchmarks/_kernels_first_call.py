"""What the first call costs: compiled in a fresh cache, and loaded from it in a second process."""

import json
import os
import subprocess
import sys
import tempfile

from _timing import Table

CODE = """
import json, time
start = time.perf_counter()
import torch
import tsrec.kernels as k
seconds = {"import": time.perf_counter() - start}
x, row, two = torch.rand(2, 70, 8), torch.rand(8), torch.rand(2, 70, 4)
calls = {
    "linear_scan": lambda a: k.linear_scan(row, a)[0],
    "selective_scan": lambda a: k.selective_scan(a, x, -torch.rand(8, 4), two, two)[0],
    "dilated_conv": lambda a: k.dilated_conv(a, torch.rand(8, 4), activation="silu"),
    "fft_conv": lambda a: k.fft_conv(a, torch.rand(8, 4)),
}
for name, call in calls.items():
    a = x.clone().requires_grad_()
    start = time.perf_counter()
    y = call(a)
    seconds[name] = time.perf_counter() - start
    start = time.perf_counter()
    y.sum().backward()
    seconds[name + ", backward"] = time.perf_counter() - start
print(json.dumps(seconds))
"""


def measure(_repeats: int) -> list[dict[str, object]]:
    table = Table("First call, seconds", "process", *_NAMES)
    with tempfile.TemporaryDirectory() as cache:
        for process in ("first, compiles", "second, loads"):
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", CODE],
                env={**os.environ, "NUMBA_CACHE_DIR": cache},
                capture_output=True,
                text=True,
                check=True,
            )
            table.add(process, *json.loads(done.stdout).values())
    return table.rows


_NAMES = (
    "import torch and tsrec.kernels",
    *(
        f"{op}{way}"
        for op in ("linear_scan", "selective_scan", "dilated_conv", "fft_conv")
        for way in ("", ", backward")
    ),
)
