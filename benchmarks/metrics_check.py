"""Hold the metrics against known scores: forecasts submitted to the M3 and M4 competitions, scored by tsrec.metrics.

Run as ``TSREC_DATA=FOLDER python benchmarks/metrics_check.py [--out FILE.csv]``. Besides the series, the folder holds
the submitted forecasts: ``m3/m3_official_forecasts.csv.gz`` (series_id, method, F1 ...) and
``m4_weekly/Weekly-official-forecasts.csv.gz`` (V1, method, F1 ...).
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from tsrec.datasets import fetch_m3, fetch_m4
from tsrec.metrics import mase, owa, smape

# sMAPE in percent, MASE. M4: the organisers' table. M3: computed elsewhere from the forecasts in the R package Mcomp.
KNOWN = {
    ("M3 Yearly", "NAIVE2"): (17.88, 3.172),
    ("M3 Yearly", "THETA"): (16.97, 2.806),
    ("M3 Yearly", "ForecastPro"): (17.27, None),
    ("M3 Yearly", "DAMPEN"): (17.36, None),
    ("M3 Quarterly", "NAIVE2"): (9.95, 1.238),
    ("M3 Quarterly", "THETA"): (8.96, 1.087),
    ("M3 Quarterly", "ForecastPro"): (9.82, None),
    ("M3 Quarterly", "DAMPEN"): (9.36, None),
    ("M3 Monthly", "NAIVE2"): (16.89, 1.037),
    ("M3 Monthly", "THETA"): (13.89, 0.858),
    ("M3 Monthly", "ForecastPro"): (13.90, None),
    ("M3 Monthly", "DAMPEN"): (14.58, None),
    ("M3 Other", "NAIVE2"): (6.30, 3.089),
    ("M3 Other", "THETA"): (4.41, 1.904),
    ("M3 Other", "ForecastPro"): (4.60, None),
    ("M3 Other", "DAMPEN"): (4.61, None),
    ("M4 Weekly", "Naive2"): (9.161, 2.777),
    ("M4 Weekly", "Naive"): (9.161, 2.777),
    ("M4 Weekly", "SES"): (9.012, 2.685),
}
SEASON = {"M3 Yearly": 1, "M3 Quarterly": 4, "M3 Monthly": 12, "M3 Other": 1, "M4 Weekly": 1}


def forecasts(file: Path, name: str, test: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Submitted forecasts per method, on the index of the test rows."""
    wide = pd.read_csv(file)
    step = test.groupby("series").cumcount().to_numpy()
    answers = {}
    for method, rows in wide.groupby("method"):
        values = rows.set_index(name).filter(regex=r"^F\d+$")
        row = values.index.get_indexer(test.index.get_level_values("series"))
        answers[str(method)] = pd.DataFrame({"y": values.to_numpy(float)[row, step]}, index=test.index)
    return answers


def check(group: str, home: Path) -> list[dict[str, object]]:
    """Scores of every method with a known score, and how far they are off."""
    contest, part = group.split()
    if contest == "M3":
        train, test = fetch_m3(part, data_home=home)
        submitted = forecasts(home / "m3" / "m3_official_forecasts.csv.gz", "series_id", test)
    else:
        train, test = fetch_m4(part, data_home=home)
        submitted = forecasts(home / "m4_weekly" / "Weekly-official-forecasts.csv.gz", "V1", test)
    season, naive2 = SEASON[group], submitted["NAIVE2" if contest == "M3" else "Naive2"]
    rows = []
    for method in [method for owner, method in KNOWN if owner == group]:
        # Backwards, so that the answer depends on the index and not on the position of the rows.
        forecast = submitted[method].iloc[::-1]
        found = (
            smape(test, forecast, average="series"),
            mase(test, forecast, y_train=train, season=season, average="series"),
        )
        known = KNOWN[group, method]
        rows.append(
            {
                "group": group,
                "method": method,
                "smape": found[0],
                "smape_known": known[0],
                "mase": found[1],
                "mase_known": known[1],
                "owa": owa(test, forecast, naive2, y_train=train, season=season),
            }
        )
    return rows


def main() -> int:
    """Print the table; fail if a score differs from the known one beyond its rounding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the table as CSV")
    arguments = parser.parse_args()
    home = Path(os.environ["TSREC_DATA"])
    table = pd.DataFrame([row for group in SEASON for row in check(group, home)])
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    # Known to two decimals (M3 sMAPE) or three: half a unit of the last one, and a hair for binary fractions.
    unit = np.where(table["group"].str.startswith("M3"), 0.005, 0.0005) + 1e-9
    off = (table["smape"] - table["smape_known"]).abs() > unit
    off |= (table["mase"] - table["mase_known"].astype(float)).abs() > 0.0005 + 1e-9
    print(f"{int((~off).sum())} of {len(table)} methods agree with the known scores to their last digit.")
    if arguments.out:
        table.round(5).to_csv(arguments.out, index=False)
    return int(off.any())


if __name__ == "__main__":
    sys.exit(main())
