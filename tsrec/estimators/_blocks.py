"""Requested rows as forecasts from cut-offs: blocks inside the history, and blocks that roll on beyond it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tsrec.estimators._request import Request
from tsrec.frames import Panel
from tsrec.frames.warn import warn_user

# (panel, cutoffs (n, 2) of series and position) -> (n, horizon, n_channels, n_answers); answer 0 is the point forecast
Forecast = Callable[[Panel, np.ndarray], np.ndarray]


def forecast_rows(
    forecast: Forecast, panel: Panel, request: Request, horizon: int, *, widen: bool = True
) -> np.ndarray:
    """Answers for the requested rows, float of shape (n_rows, n_channels, n_answers).

    Rows inside the history come in blocks of `horizon` counted back from its end, each forecast from the rows before
    the block. Rows beyond it come in blocks counted forward; a later block takes the point forecasts of the earlier
    ones for its history, and its spread grows by theirs (in quadrature, as for independent errors) unless `widen` is
    false, as it must be where the answers are no quantiles.
    """
    ahead = request.positions - panel.lengths[request.series]
    block = np.floor_divide(ahead, horizon)
    step = ahead - block * horizon
    answers: np.ndarray | None = None
    for rows, found in _pieces(forecast, panel, request, block, horizon, widen):
        if answers is None:
            answers = np.empty((len(ahead), *found.shape[2:]))
        answers[rows[0]] = found[rows[1], step[rows[0]]]
    if answers is None:
        raise ValueError("X: it has 0 rows. Ask for at least one.")
    return answers


Piece = tuple[tuple[np.ndarray, np.ndarray], np.ndarray]


def checked_cutoffs(cutoffs: Any, panel: Panel) -> np.ndarray:
    """Cut-offs (series, step) that lie in a panel, int (n, 2)."""
    try:
        found = np.asarray(cutoffs)
    except ValueError as error:
        raise ValueError("cutoffs: its rows differ in length. Give whole numbers (series, step).") from error
    if found.ndim != 2 or found.shape[1] != 2 or not np.issubdtype(found.dtype, np.integer):
        raise ValueError(f"cutoffs: found shape {found.shape}, {found.dtype}. Give whole numbers (series, step).")
    known = (found[:, 0] >= 0) & (found[:, 0] < panel.n_series)
    if not known.all() or (found[:, 1] > panel.lengths[found[:, 0]]).any():
        raise ValueError(
            f"cutoffs: some lie outside the {panel.n_series} series of y or after their ends. The last possible "
            "step of a series is its length."
        )
    return found


def _pieces(
    forecast: Forecast, panel: Panel, request: Request, block: np.ndarray, horizon: int, widen: bool
) -> list[Piece]:
    """For each call of `forecast`: (which requested rows it answers, by which of its cut-offs), and its answers."""
    pieces: list[Piece] = []
    inside = np.flatnonzero(block < 0)
    if len(inside):
        origin = panel.lengths[request.series[inside]] + block[inside] * horizon
        cutoffs, which = distinct_pairs(request.series[inside], origin)
        pieces.append(((inside, which), forecast(panel, cutoffs)))
    beyond = np.flatnonzero(block >= 0)
    if len(beyond):
        pieces.extend(_roll(forecast, panel, request, beyond, block, horizon, widen))
    return pieces


def _roll(
    forecast: Forecast,
    panel: Panel,
    request: Request,
    beyond: np.ndarray,
    block: np.ndarray,
    horizon: int,
    widen: bool,
) -> list[Piece]:
    wanted, local = np.unique(request.series[beyond], return_inverse=True)
    last = int(block[beyond].max())
    history = panel if len(wanted) == panel.n_series else panel.take(wanted)
    longer = history.resized(np.zeros(len(wanted), dtype=np.int64), np.full(len(wanted), (last + 1) * horizon))
    if panel.n_covariates:
        _put_future(longer, history, request, beyond, local)
    pieces: list[Piece] = []
    spread: np.ndarray | None = None
    for number in range(last + 1):
        position = history.lengths + number * horizon
        found = forecast(longer, np.stack([np.arange(len(wanted)), position], axis=1))
        if widen and spread is not None:
            found = widened(found, spread)
        spread = found[:, -1:, :, 1:] - found[:, -1:, :, :1]
        rows = (longer.offsets[:-1] + position)[:, None] + np.arange(horizon)
        longer.values[rows] = found[..., 0]
        here = np.flatnonzero(block[beyond] == number)
        pieces.append(((beyond[here], local[here]), found))
    return pieces


def _put_future(longer: Panel, history: Panel, request: Request, beyond: np.ndarray, local: np.ndarray) -> None:
    """Put the covariates of the request into the rows to come; what is missing stays NaN, with a warning."""
    rows = longer.offsets[:-1][local] + request.positions[beyond]
    if request.covariates is not None:
        longer.covariates[rows] = request.covariates[beyond]
        holes = int(np.isnan(request.covariates[beyond]).sum())
        if holes:
            warn_user(f"X: {holes} values of the rows asked for are NaN and count as missing.")
    ahead = request.positions[beyond] - history.lengths[local]
    furthest = np.zeros(longer.n_series, dtype=np.int64)
    np.maximum.at(furthest, local, ahead + 1)
    given = np.bincount(distinct_pairs(local, ahead)[0][:, 0], minlength=longer.n_series)
    missing = int((furthest - given).sum())
    if missing:
        warn_user(
            f"X: the covariates of {missing} steps between the end of the history and the rows asked for are "
            "unknown and count as missing. Give X from the first step after the history on."
        )


def distinct_pairs(series: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different pairs (series, step), and which of them each row is; by one whole number per pair."""
    low, high = int(steps.min()), int(steps.max())
    span = high - low + 1
    keys, which = np.unique(series.astype(np.int64) * span + (steps - low), return_inverse=True)
    return np.stack([keys // span, keys % span + low], axis=1), which


def widened(found: np.ndarray, spread: np.ndarray) -> np.ndarray:
    point, own = found[..., :1], found[..., 1:] - found[..., :1]
    both = np.sign(own) * np.hypot(own, np.where(np.sign(own) == np.sign(spread), spread, 0.0))
    return np.concatenate([point, point + both], axis=-1)
