"""The three commands."""

import argparse
import warnings
from typing import Any

import pandas as pd

import tsrec
from tsrec.cli import _show
from tsrec.cli._errors import listing, note
from tsrec.cli._flags import HORIZON, MODELS, NETWORKS
from tsrec.cli._read import Data, history, read_data, read_for_info, split


def forecast(arguments: argparse.Namespace) -> None:
    """Forecast the steps after the end of a file."""
    data = read_data(arguments)
    note(_show.understood(data))
    future, horizon = None, arguments.horizon or HORIZON
    if data.known is not None:
        data, future = split(data, arguments.horizon)
        horizon = _longest(future)
        _say_unused(arguments)
    else:
        _say_empty_end(data)
    forecaster = _fitted(_forecaster(arguments, data, horizon), data)
    _show.say_chosen(forecaster)
    coverage = sorted(set(arguments.coverage or [0.9]))
    bounds = forecaster.predict_interval(future, coverage=coverage)
    _show.write(_show.flat(forecaster.predict(future), bounds), arguments.out)
    if arguments.save is not None:
        arguments.save.parent.mkdir(parents=True, exist_ok=True)
        tsrec.save(forecaster, arguments.save)
        print(f"saved the model to {arguments.save}")
    if arguments.plot is not None:
        _show.draw(forecaster, future, arguments.plot, coverage)


def backtest(arguments: argparse.Namespace) -> None:
    """Forecast the last part of a file and measure the error."""
    data = read_data(arguments)
    note(_show.understood(data))
    if data.known is not None:
        data = history(data)
        _say_unused(arguments)
    else:
        _say_empty_end(data)
    horizon = arguments.horizon or HORIZON
    run = tsrec.model_selection.backtest
    forecaster = _forecaster(arguments, data, horizon)
    table = run(forecaster, data.values, X=data.known, step=arguments.step, n_windows=arguments.windows)
    n_series = len(data.layout.lengths)
    sizes = table.groupby(level=0).size() if n_series > 1 else pd.Series([len(table)])
    n_windows = int(sizes.max()) // horizon
    each = "" if n_series == 1 else f" for each of {len(sizes)} series"
    up_to, step = "" if sizes.min() == sizes.max() else "up to ", arguments.step or horizon
    note(f"{up_to}{n_windows} cut-offs{each}, {step} steps apart, {horizon} steps forecast from each")
    naive = tsrec.SeasonalNaiveForecaster(horizon=horizon, freq=_freq(arguments, data))
    with warnings.catch_warnings():
        # What there is to say about the series was said above.
        warnings.simplefilter("ignore")
        compared = run(naive, data.values, step=arguments.step, n_windows=n_windows)
    print(_show.errors(table, compared).to_string(float_format="%.4g"))
    if arguments.out is not None:
        table.columns = [f"{variable}_{value}" for variable, value in table.columns]
        _show.write(table, arguments.out)


def info(arguments: argparse.Namespace) -> None:
    """Say what a file holds, or what is installed."""
    if arguments.data is None:
        _show.versions()
    else:
        _show.about(read_for_info(arguments))


def _forecaster(arguments: argparse.Namespace, data: Data, horizon: int) -> Any:
    forecaster = getattr(tsrec, MODELS[arguments.model])(horizon=horizon, freq=_freq(arguments, data))
    return forecaster.set_params(random_state=arguments.seed) if arguments.model in NETWORKS else forecaster


def _freq(arguments: argparse.Namespace, data: Data) -> str | None:
    """The frequency in use: a part of the rows may look like another one."""
    return data.layout.grid.freq if isinstance(data.layout.times, pd.DatetimeIndex) else arguments.freq


def _fitted(forecaster: Any, data: Data) -> Any:
    return forecaster.fit(data.values) if data.known is None else forecaster.fit(data.known, data.values)


def _longest(future: pd.DataFrame) -> int:
    if future.index.nlevels == 1:
        return len(future)
    return int(future.groupby(level=0, sort=False).size().max())


def _say_unused(arguments: argparse.Namespace) -> None:
    if arguments.model not in NETWORKS:
        note(f"note: {arguments.model} makes no use of {listing(arguments.known)}")


def _say_empty_end(data: Data) -> None:
    """Forecasts start after the last row, also where that is empty: say so."""
    empty = int((data.layout.lengths - 1 - data.last_observed()).max())
    if empty:
        note(
            f"note: the last {empty} rows hold no value and count as missing; the forecast starts after them "
            "(delete them, or see --known)"
        )
