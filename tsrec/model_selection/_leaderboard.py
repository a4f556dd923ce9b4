"""How good the models of a backtest were: one row for each."""

from typing import Any, Literal

import numpy as np
import pandas as pd

from tsrec.model_selection._checks import check_whole
from tsrec.model_selection._scores import Values, common_levels, errors_of, scales_of, values_of, widest_share
from tsrec.model_selection.tables import Forecasts, read_forecasts


def leaderboard(
    table: pd.DataFrame,
    y: Any,
    *,
    season: int | None = None,
    by: Literal["series", "cutoff", "step"] | None = None,
) -> pd.DataFrame:
    """Errors of the models of a backtest, the best first.

    Parameters
    ----------
    table : DataFrame
        What `backtest` gave.
    y : Series, DataFrame or array
        What it was given: the rows before the first cut-off of each series are the measure of MASE and RMSSE.
    season : int, optional
        Steps per season, of which the seasonal naive forecast of that measure makes use; chosen from those rows, as
        forecasters choose it, when omitted.
    by : {"series", "cutoff", "step"}, optional
        Give a row for each series, cut-off, or step ahead of each model instead.

    Returns
    -------
    DataFrame
        A row per model, sorted by MASE, and the columns

        - ``mase``, ``rmsse``, ``smape`` (percent), ``mae`` (unit of y): means over series and variables of each one's
          own, as in the M competitions;
        - ``wql``: the weighted quantile loss of all values together, over the levels that all models have;
        - ``coverage_90``, or another number: the share of all values inside the widest central interval between two of
          these levels; without one there is no such column;
        - ``fit_seconds``, ``predict_seconds``: what the backtest took, NaN if the table does not say.

        With `by`, the index is (model, series), (model, cutoff) or (model, step), in the order of the table, there are
        no seconds, and everything is an average over all values of the row.

    Raises
    ------
    TypeError
        If the table is none of `backtest`.
    ValueError
        If y does not hold the rows before the cut-offs, or an argument is none of its values.

    Notes
    -----
    Series whose measure is 0 (they repeat themselves exactly) or unknown count in neither MASE nor RMSSE; a warning
    says how many.

    Examples
    --------
    >>> from tsrec import SeasonalNaiveForecaster, ThetaForecaster
    >>> from tsrec.datasets import load_co2
    >>> from tsrec.model_selection import backtest, leaderboard
    >>> y = load_co2()
    >>> table = backtest({"naive": SeasonalNaiveForecaster(), "theta": ThetaForecaster()}, y, n_windows=3)
    >>> leaderboard(table, y)[["mase", "smape"]].round(2)
           mase  smape
    model
    theta  0.29   0.10
    naive  1.13   0.41
    """
    if by not in ("series", "cutoff", "step", None):
        raise ValueError(f"by: found {by!r}. Give 'series', 'cutoff', 'step' or None.")
    check_whole(season=1 if season is None else season)
    found = read_forecasts(table)
    scales, levels = scales_of(found, y, season, table.attrs.get("freq")), common_levels(found)
    share = widest_share(levels)
    rows = {}
    for number, model in enumerate(found.models):
        values = values_of(found, number, scales, levels)
        if by is None:
            rows[model] = _of_model(found, values, share).assign(**_seconds(table, model))
        else:
            codes, labels = _groups(found, by)
            errors = errors_of(values, codes[values.row], share)
            rows[model] = errors.set_index(labels.take(errors.index.to_numpy()).rename(_named(labels, by)))
    board = pd.concat(rows, names=["model"])
    board = board.droplevel(1).sort_values("mase", kind="stable") if by is None else board
    return board if share is None else board.rename(columns={"coverage": f"coverage_{100 * share:g}"})


def _of_model(found: Forecasts, values: Values, share: float | None) -> pd.DataFrame:
    """Means over the series and variables, but the weighted quantile loss and the coverage of all values together."""
    pairs = found.series[values.row] * len(found.variables) + values.variable
    errors = errors_of(values, pairs, share).mean().to_frame().T
    together = errors_of(values, np.zeros_like(pairs), share)
    whole = [name for name in ("wql", "coverage") if name in together]
    return errors.assign(**{name: together[name].to_numpy() for name in whole})


def _groups(found: Forecasts, by: str) -> tuple[np.ndarray, pd.Index]:
    """Of each row of the table the number of its group, and the names of the groups."""
    if by == "series":
        return found.series, pd.RangeIndex(1) if found.names is None else found.names
    return pd.factorize(found.cutoffs if by == "cutoff" else pd.Index(found.steps), sort=True)


def _named(labels: pd.Index, by: str) -> Any:
    """What the level of the groups is called."""
    return list(labels.names) if isinstance(labels, pd.MultiIndex) else labels.name if by == "series" else by


def _seconds(table: pd.DataFrame, model: str) -> dict[str, float]:
    known = table.attrs.get("seconds", {}).get(model, {})
    return {f"{name}_seconds": known.get(name, np.nan) for name in ("fit", "predict")}
