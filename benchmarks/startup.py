"""What a new process costs: importing tsrec, the first and the second fit.

    python benchmarks/startup.py

Each line is the best of 5 new processes, in seconds.
"""

import subprocess
import sys

CODE = """
import time; began = time.perf_counter()
import tsrec; imported = time.perf_counter()
import numpy as np, pandas as pd
y = pd.Series(np.random.default_rng(0).normal(size=2000), pd.date_range("2024", periods=2000, freq="h"))
data = time.perf_counter()
tsrec.{kind}; named = time.perf_counter()
forecaster = tsrec.{kind}(horizon=24).fit(y); first = time.perf_counter()
forecaster.fit(y); second = time.perf_counter()
print(imported - began, named - data, first - named, second - first)
"""


def main() -> None:
    """Print a table."""
    print("| estimator | import tsrec | name the estimator | first fit, 2,000 rows | second fit |")
    print("|---|---|---|---|---|")
    for kind in ("SeasonalNaiveForecaster", "LSSLForecaster"):
        runs = []
        for _ in range(5):
            shown = subprocess.run(
                [sys.executable, "-c", CODE.format(kind=kind)], capture_output=True, text=True, check=True
            )
            runs.append([float(value) for value in shown.stdout.split()])
        best = [min(column) for column in zip(*runs, strict=True)]
        print(f"| {kind} | {best[0]:.3f} | {best[1]:.2f} | {best[2]:.2f} | {best[3]:.2f} |")


if __name__ == "__main__":
    main()
