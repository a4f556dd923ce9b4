"""What is printed, written and drawn."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsrec.cli._errors import listing, note
from tsrec.cli._layout import rhythm, show
from tsrec.cli._read import Data


def understood(data: Data, what: str = "forecasting") -> str:
    """One line: what was read, and what will be done with which columns."""
    layout = data.layout
    series = "" if layout.names is None else f" of {len(layout.names)} series ({layout.names.name})"
    new = int((layout.order < 0).sum())
    filled = f", {new} missing {'row' if new == 1 else 'rows'} filled in as unknown" if new else ""
    columns = listing(map(str, data.values.columns))
    parts = [
        f"read {data.rows} rows{series}, {rhythm(layout.grid)}, {show(layout.times.min())} to "
        f"{show(layout.times.max())}{filled}",
        f"{what} {columns}" + ("" if data.chosen else " (all number columns; choose with --target)"),
    ]
    if data.known is not None:
        parts[-1] += f", knowing {listing(map(str, data.known.columns))}"
    if data.skipped:
        parts.append(f"skipped {listing(f'{column} ({why})' for column, why in data.skipped.items())}")
    return "; ".join(parts)


def chosen(forecaster: Any) -> str | None:
    """One line: what a fitted forecaster chose; None where there was nothing to choose."""
    members = getattr(forecaster, "members_", None)
    if members is None:
        detail = _detail(forecaster)
        return detail and f"season {forecaster.season_}, {detail}"
    details = {name: _detail(member) for name, member in members.items()}
    shown = listing(f"{name} ({detail})" if detail else name for name, detail in details.items())
    return f"season {forecaster.season_}, {forecaster.recipe_}: {'mean of ' if len(details) > 1 else ''}{shown}"


def _detail(forecaster: Any) -> str | None:
    """Context and share of the branch, of those that have one."""
    if not hasattr(forecaster, "share_"):
        return None
    return f"context {forecaster.context_}, {forecaster._branch_told()}"


def flat(answer: pd.DataFrame, bounds: pd.DataFrame) -> pd.DataFrame:
    """Forecast and interval bounds side by side, with plain column names."""
    columns = {}
    for variable in answer.columns:
        columns[variable] = answer[variable]
        for coverage, bound in bounds[variable].columns:
            columns[f"{variable}_{bound}_{coverage:g}"] = bounds[variable, coverage, bound]
    return pd.DataFrame(columns)


def write(table: pd.DataFrame, path: Path | None) -> None:
    """Write a table as CSV to a file, or to standard output if there is none."""
    if path is None:
        table.to_csv(sys.stdout, float_format="%.6g")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, float_format="%.6g")
    print(f"wrote {len(table)} rows to {path}")


def draw(forecaster: Any, X: Any, path: Path, coverage: list[float]) -> None:
    """Draw a forecast into a file."""
    from tsrec.plotting import MOST_TRACKS, ForecastDisplay

    series = None
    names, variables = forecaster.panel_.ids, forecaster.panel_.n_channels
    shown = max(MOST_TRACKS // variables, 1)
    if names is not None and len(names) > shown:
        series = list(names[:shown])
        note(f"note: the picture shows the first {shown} of {len(names)} series")
    display = ForecastDisplay.from_estimator(forecaster, X, coverage=tuple(sorted(coverage)), series=series)
    path.parent.mkdir(parents=True, exist_ok=True)
    display.figure_.savefig(path, dpi=120, bbox_inches="tight")
    print(f"drew {path}")


def errors(table: pd.DataFrame, naive: pd.DataFrame) -> pd.DataFrame:
    """Mean absolute and root mean square error per variable, beside those of the seasonal naive forecast."""
    rows = {}
    for variable in table.columns.get_level_values(0).unique():
        row = {}
        for name, found in (("", table), (" naive", naive)):
            error = found[variable]["forecast"] - found[variable]["y"]
            row[f"MAE{name}"] = error.abs().mean()
            row[f"RMSE{name}"] = (error**2).mean() ** 0.5
        rows[variable] = row
    found = pd.DataFrame(rows).T
    found["MAE ratio"] = found["MAE"] / found["MAE naive"]
    return found


def about(data: Data) -> None:
    """Print what a file holds."""
    layout = data.layout
    again = int((layout.steps() == 0).sum())
    uneven = int((layout.steps() % layout.grid.step != 0).sum())
    print(
        f"{data.path}: {data.rows} rows, {rhythm(layout.grid)}, "
        f"{show(layout.times.min())} to {show(layout.times.max())}"
    )
    if layout.names is not None:
        shortest, longest = layout.lengths.min(), layout.lengths.max()
        print(f"{len(layout.names)} series ({layout.names.name}), {shortest} to {longest} rows long")
    if again:
        print(f"repeated time stamps: {again}, the first {show(layout.times[np.argmax(layout.steps() == 0)])}")
    if uneven:
        print(f"steps that do not fit the frequency: {uneven}")
    missing = layout.missing()[1]
    print(f"missing steps: {_some(layout.grid.decode(missing)) if len(missing) else 0}")
    for column, why in data.skipped.items():
        print(f"not numbers: {column} ({why})")
    values = data.values
    if values.shape[1]:
        described = pd.DataFrame({"missing": values.isna().sum(), "mean": values.mean(), "std": values.std()})
        print(described.to_string(float_format="%.4g"))


def _some(stamps: pd.Index) -> str:
    return f"{len(stamps)} ({listing(map(show, stamps), most=3)})"


def versions() -> None:
    """Print what is installed."""
    from importlib.metadata import PackageNotFoundError, version

    import tsrec

    print(f"tsrec {tsrec.__version__}")
    for package in ("numpy", "pandas", "scikit-learn", "torch", "numba", "statsmodels", "matplotlib", "pyarrow"):
        try:
            print(f"{package} {version(package)}")
        except PackageNotFoundError:
            print(f"{package} is not installed")


def say_chosen(forecaster: Any) -> None:
    """Say on standard error what the model chose, if it chose anything."""
    line = chosen(forecaster)
    if line is not None:
        note(line)
