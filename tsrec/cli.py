"""The command line: ``tsrec forecast | backtest | info`` on CSV and parquet files."""

import argparse
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

import tsrec

MODELS = {
    "lssl": "LSSLForecaster",
    "seasonal-mean": "SeasonalMeanForecaster",
    "seasonal-naive": "SeasonalNaiveForecaster",
}


class CommandError(Exception):
    """Something the user can mend; printed without a traceback."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 when done, 2 when the user must mend something.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process when omitted.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (CommandError, ValueError, TypeError, ImportError, OSError) as err:
        print(f"tsrec {arguments.command}: {err}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tsrec", description="Forecast time series in CSV or parquet files.")
    parser.add_argument("--version", action="version", version=f"tsrec {tsrec.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    forecast = _command(commands, "forecast", _forecast, "forecast the steps after the end of a file")
    forecast.add_argument("--out", type=Path, help="CSV to write the forecast to (standard output when omitted)")
    forecast.add_argument("--plot", type=Path, help="picture to draw (png, pdf, svg)")
    forecast.add_argument("--save", type=Path, help="file to keep the fitted model in, for tsrec.load")
    forecast.add_argument("--coverage", type=float, default=0.9, help="share that the intervals should hold (0.9)")
    test = _command(commands, "backtest", _backtest, "forecast the last part of a file and measure the error")
    test.add_argument("--windows", type=int, default=None, help="number of cut-offs (a fifth of the rows when omitted)")
    test.add_argument("--step", type=int, default=None, help="steps between cut-offs (the horizon when omitted)")
    test.add_argument("--out", type=Path, help="CSV to write every forecast to")
    about = commands.add_parser("info", help="what is installed, and what a file holds")
    about.add_argument("data", type=Path, nargs="?", help="CSV or parquet file")
    about.add_argument("--time", help="column of time stamps")
    about.set_defaults(run=_info)
    return parser


def _command(commands: Any, name: str, run: Callable, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text.capitalize() + ".")
    parser.add_argument("data", type=Path, help="CSV or parquet file, a row per time step")
    parser.add_argument("--time", help="column of time stamps (the first column when omitted)")
    parser.add_argument(
        "--target", action="append", help="column to forecast; may be repeated (all others when omitted)"
    )
    parser.add_argument("--id", help="column that names the series, if the file holds several")
    parser.add_argument("--horizon", type=int, default=24, help="steps to forecast (24)")
    parser.add_argument("--freq", help="frequency, where it cannot be read from the time stamps, e.g. h or MS")
    parser.add_argument("--model", choices=sorted(MODELS), default="lssl", help="model (lssl)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (0)")
    parser.set_defaults(run=run)
    return parser


def _forecast(arguments: argparse.Namespace) -> None:
    y = _read(arguments)
    forecaster = _forecaster(arguments).fit(y)
    answer = forecaster.predict()
    bounds = forecaster.predict_interval(coverage=arguments.coverage)
    table = _flat(answer, bounds)
    if arguments.out is None:
        table.to_csv(sys.stdout, float_format="%.6g")
    else:
        table.to_csv(arguments.out, float_format="%.6g")
        print(f"wrote {len(table)} rows to {arguments.out}")
    if arguments.plot is not None:
        _draw(forecaster, arguments.plot, arguments.coverage)
        print(f"drew {arguments.plot}")
    if arguments.save is not None:
        tsrec.save(forecaster, arguments.save)
        print(f"saved the model to {arguments.save}")


def _backtest(arguments: argparse.Namespace) -> None:
    y = _read(arguments)
    table = tsrec.model_selection.backtest(
        _forecaster(arguments), y, step=arguments.step, n_windows=arguments.windows, horizon=arguments.horizon
    )
    naive = _baseline(arguments, y, table)
    print(_errors(table, naive).to_string(float_format="%.4g"))
    if arguments.out is not None:
        flat = table.copy()
        flat.columns = [f"{variable}_{value}" for variable, value in table.columns]
        flat.to_csv(arguments.out, float_format="%.6g")
        print(f"wrote {len(flat)} rows to {arguments.out}")


def _baseline(arguments: argparse.Namespace, y: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    windows = table.index.get_level_values("cutoff").nunique() if arguments.windows is None else arguments.windows
    naive = tsrec.SeasonalNaiveForecaster(horizon=arguments.horizon, freq=arguments.freq)
    return tsrec.model_selection.backtest(naive, y, step=arguments.step, n_windows=windows, horizon=arguments.horizon)


def _errors(table: pd.DataFrame, naive: pd.DataFrame) -> pd.DataFrame:
    """Mean absolute and root mean square error per variable, beside those of the seasonal naive forecast."""
    rows = {}
    for variable in table.columns.get_level_values(0).unique():
        row = {}
        for name, found in (("", table), (" naive", naive)):
            error = found[variable]["forecast"] - found[variable]["y"]
            row[f"MAE{name}"] = error.abs().mean()
            row[f"RMSE{name}"] = (error**2).mean() ** 0.5
        rows[variable] = row
    errors = pd.DataFrame(rows).T
    errors["MAE ratio"] = errors["MAE"] / errors["MAE naive"]
    return errors


def _info(arguments: argparse.Namespace) -> None:
    from importlib.metadata import PackageNotFoundError, version

    print(f"tsrec {tsrec.__version__}")
    for package in ("numpy", "pandas", "scikit-learn", "torch", "numba", "statsmodels", "matplotlib"):
        try:
            print(f"{package} {version(package)}")
        except PackageNotFoundError:
            print(f"{package} is not installed")
    if arguments.data is not None:
        arguments.id, arguments.target, arguments.freq = None, None, None
        y = _read(arguments)
        panel = tsrec.frames.read_panel(y)
        print(f"{arguments.data}: {len(y)} rows of frequency {panel.grid.freq}, {y.index[0]} to {y.index[-1]}")
        print(
            pd.DataFrame({"missing": y.isna().sum(), "mean": y.mean(), "std": y.std()}).to_string(float_format="%.4g")
        )


def _forecaster(arguments: argparse.Namespace) -> Any:
    kind = getattr(tsrec, MODELS[arguments.model])
    settings = {"horizon": arguments.horizon, "freq": arguments.freq}
    if arguments.model == "lssl":
        settings["random_state"] = arguments.seed
    return kind(**settings)


def _read(arguments: argparse.Namespace) -> pd.DataFrame:
    """The file as a frame with a time index, or a panel."""
    table = _table(arguments.data)
    time = arguments.time if arguments.time is not None else str(table.columns[0])
    wanted = [time, *([arguments.id] if arguments.id else []), *(arguments.target or [])]
    for column in wanted:
        if column not in table.columns:
            near = get_close_matches(column, map(str, table.columns), n=3)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise CommandError(
                f"{arguments.data} has no column {column!r}.{hint} Its columns: {', '.join(map(str, table.columns))}."
            )
    table[time] = _times(table[time], arguments.data)
    if arguments.id:
        return tsrec.frames.from_long(table, id=arguments.id, time=time, target=arguments.target)
    y = table.set_index(time)
    y = y[arguments.target] if arguments.target else y.select_dtypes("number")
    if not y.shape[1]:
        raise CommandError(f"{arguments.data} has no column of numbers beside {time!r}. Name one with --target.")
    return y


def _table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        near = get_close_matches(
            path.name, [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else [], n=1
        )
        hint = f" Did you mean {str(path.parent / near[0])!r}?" if near else ""
        raise CommandError(f"there is no file {str(path)!r}.{hint}")
    if path.suffix in (".parquet", ".pq"):
        return pd.read_parquet(path).reset_index()
    try:
        return pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as err:
        raise CommandError(f"{path} could not be read as CSV: {err}") from err


def _times(column: pd.Series, path: Path) -> pd.Series:
    if pd.api.types.is_integer_dtype(column.dtype) or pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column
    try:
        times = pd.to_datetime(column, errors="coerce", format="mixed")
    except ValueError as err:
        raise CommandError(f"{path}: the time stamps in {column.name!r} cannot be read together ({err}).") from err
    wrong = times.isna()
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise CommandError(
            f"{path}, line {row + 2}: {column.iloc[row]!r} in column {column.name!r} is no date that can be read. "
            "Write dates "
            "as 2024-03-31 or 2024-03-31 18:00, or name another column with --time."
        )
    return times


def _flat(answer: pd.DataFrame, bounds: pd.DataFrame) -> pd.DataFrame:
    """Forecast and interval bounds side by side, with plain column names."""
    columns = {}
    for variable in answer.columns:
        columns[variable] = answer[variable]
        for coverage, bound in bounds[variable].columns:
            columns[f"{variable}_{bound}_{coverage:g}"] = bounds[variable, coverage, bound]
    return pd.DataFrame(columns)


def _draw(forecaster: Any, path: Path, coverage: float) -> None:
    from tsrec.plotting import ForecastDisplay

    display = ForecastDisplay.from_estimator(forecaster, coverage=(coverage,))
    display.figure_.savefig(path, dpi=120, bbox_inches="tight")


if __name__ == "__main__":
    sys.exit(main())
