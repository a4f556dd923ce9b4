"""What a picture of a backtest shows of it: some models, series and variables, checked by name."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from tsrec.model_selection.tables import Forecasts
from tsrec.plotting._style import named, shares

WIDEST = "widest"


def chosen_models(found: Forecasts, models: str | Sequence[str] | None, *, most: int) -> list[int]:
    """Numbers of the models to show, all when none are named.

    Raises
    ------
    ValueError
        If one is not in the table, or there are too many.
    """
    names = found.models if models is None else named(models)
    _check_known(names, found.models, "models")
    if not 0 < len(names) <= most:
        raise ValueError(f"models: found {len(names)}. Name 1 to {most} of {found.models}.")
    return [found.models.index(name) for name in names]


def chosen_series(
    found: Forecasts, series: Hashable | Sequence[Hashable] | None, *, most: int | None = None
) -> list[int]:
    """Numbers of the series to show; the first `most` when none are named.

    Raises
    ------
    ValueError
        If one is not in the table, or the table has no names of series.
    """
    if series is None:
        return list(range(found.n_series if most is None else min(found.n_series, most)))
    if found.names is None:
        raise ValueError("series: given, but the table has no series level. Leave it out.")
    series = named(series)
    numbers = [int(found.names.get_indexer([name])[0]) for name in series]
    absent = [name for name, number in zip(series, numbers, strict=True) if number < 0]
    if absent or not numbers:
        what = f"the table has no {absent[0]!r}" if absent else "found none"
        raise ValueError(f"series: {what}. Choose among {found.names[:5].tolist()} and so on.")
    return numbers


def chosen_variables(found: Forecasts, variables: Hashable | Sequence[Hashable] | None) -> list[Any]:
    """Names of the variables to show, all when none are named.

    Raises
    ------
    ValueError
        If one is not in the table.
    """
    names = found.variables if variables is None else named(variables)
    _check_known(names, found.variables, "variables")
    if not names:
        raise ValueError(f"variables: found none. Choose among {found.variables}.")
    return names


def chosen_one(known: list[Any], name: Any, where: str) -> Any:
    """The one name that an argument asks for, alone or in a list; the first there is when omitted.

    Raises
    ------
    ValueError
        If it is not one, or not in the table.
    """
    if name is None:
        return known[0]
    names = [name] if isinstance(name, tuple) else named(name)
    if len(names) != 1:
        raise ValueError(f"{where}: found {len(names)} names, and one can be shown. Choose among {known}.")
    _check_known(names, known, where)
    return names[0]


def _check_known(names: list[Any], known: list[Any], where: str) -> None:
    absent = [name for name in names if name not in known]
    if absent:
        raise ValueError(f"{where}: the table has no {absent[0]!r}. Choose among {known}.")


def rows_of(found: Forecasts, model: int, series: int | Sequence[int] | None = None) -> Forecasts:
    """Rows of a model, of one or several series or of all."""
    mine = found.model == model
    return found.take(mine if series is None else mine & np.isin(found.series, series))


def central(levels: np.ndarray) -> dict[float, tuple[float, float]]:
    """The central intervals between ascending levels, by their nominal coverage, from wide to narrow."""
    pairs = ((float(a), float(b)) for a in levels for b in levels if a < 0.5 and np.isclose(a + b, 1))
    return {round(b - a, 12): (a, b) for a, b in pairs}


def chosen_intervals(found: Forecasts, models: list[int], coverage: Any) -> list[list[tuple[float, float]]]:
    """The central intervals of each model to show, from wide to narrow: those it has of those asked for, or its widest.

    Raises
    ------
    ValueError
        If a coverage is no number between 0 and 1, or none of the models has it.
    """
    if coverage is None:
        return [[] for _ in models]
    known = [central(found.levels(model)) for model in models]
    if isinstance(coverage, str) and coverage == WIDEST:
        return [list(pairs.values())[:1] for pairs in known]
    asked = shares(coverage)
    every = sorted({share for pairs in known for share in pairs})
    if not every:
        raise ValueError("coverage: the table has no quantiles to draw intervals between. Pass coverage=None.")
    absent = [share for share in asked if not np.isclose(share, every).any()]
    if absent:
        raise ValueError(
            f"coverage: the table has no {100 * absent[0]:g} % interval. Choose among {every}, or backtest forecasters "
            "with other quantiles."
        )
    return [[pair for share, pair in pairs.items() if np.isclose(share, asked).any()] for pairs in known]
