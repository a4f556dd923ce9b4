"""Hold-out tasks of forecasting.py: panels, one or several cut-offs per series, sMAPE, MASE and OWA."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _forecasting_data import HoldOut
from _forecasting_models import Factory, choices_of, parameters_of

from tsrec.metrics import mase, naive_scale, owa, smape

# Two series that go the same way for as long as this correlation say little about each other by chance.
_RESEMBLE = 0.99
_CHUNK = 20_000


class Split(NamedTuple):
    """A panel up to the end of what is forecast, and where the forecasts begin.

    `offsets` (n_series + 1,) are the first rows of the series; `cutoffs` (n, 2) are rows (series, step of the first
    value to forecast), as many per series, ascending. Models learn from the rows before each series' first cut-off.
    """

    task: HoldOut
    label: str
    frame: pd.DataFrame
    offsets: np.ndarray
    cutoffs: np.ndarray

    @property
    def first(self) -> np.ndarray:
        """The first cut-off of each series."""
        return self.cutoffs[:: self.task.n_cutoffs, 1]

    @property
    def known(self) -> np.ndarray:
        """Which rows models learn from."""
        lengths = np.diff(self.offsets)
        local = np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], lengths)
        return local < np.repeat(self.first, lengths)

    @property
    def truth(self) -> np.ndarray:
        """What was observed, (n, horizon)."""
        rows = self.offsets[self.cutoffs[:, 0]] + self.cutoffs[:, 1]
        return self.frame["y"].to_numpy()[rows[:, None] + np.arange(self.task.horizon)]


def splits(task: HoldOut, part: str) -> Iterator[Split]:
    """The test part, or two folds of the same shape that end where it, and where the first of them, begins."""
    if part == "test":
        yield _split(task, "test", 0)
    else:
        for turn in (1, 2):
            yield _split(task, f"fold {turn}", turn)


def _split(task: HoldOut, label: str, turn: int) -> Split:
    """The last rows of each series but for `turn` times as many as a split needs; series too short for it left out."""
    codes = pd.factorize(task.frame.index.get_level_values(0))[0]
    lengths = np.bincount(codes)
    span = (task.n_cutoffs - 1) * task.spacing + task.horizon
    ends = lengths - turn * span
    least = max(task.horizon, 2 * task.season) + 1 if turn else 1
    kept = ends - span >= least
    local = np.arange(len(codes)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    frame = task.frame[kept[codes] & (local < ends[codes])]
    frame = frame.set_axis(frame.index.remove_unused_levels())
    ends = ends[kept]
    back = np.arange(task.n_cutoffs)[::-1] * task.spacing
    places = (ends[:, None] - task.horizon - back).reshape(-1)
    series = np.repeat(np.arange(len(ends)), task.n_cutoffs)
    return Split(task, label, frame, np.append(0, np.cumsum(ends)), np.stack([series, places], axis=1))


def measure(split: Split, factory: Factory, seed: int, told: dict[str, Any] | None = None) -> dict[str, Any]:
    """Fit one of our models on the known rows, and what it is told, forecast from all cut-offs, and take the errors."""
    task = split.task
    model = factory(task.horizon, task.season, seed)
    known = split.frame[split.known]
    began = time.perf_counter()
    model.fit(known, **(told or {}))
    fitted = time.perf_counter()
    forecast = model.predict_cutoffs(split.frame, split.cutoffs)[:, :, 0, 0]
    done = time.perf_counter()
    return {
        **errors(split, forecast),
        "seconds": round(done - began, 3),
        "fit_s": round(fitted - began, 3),
        "parameters": parameters_of(model),
        "chosen": choices_of(model),
    }


def errors(split: Split, forecast: np.ndarray) -> dict[str, Any]:
    """SMAPE in percent and MASE, means over series; for M4 also the OWA, and the series apart that resemble others."""
    n_series = len(split.offsets) - 1
    scale = naive_scale(split.frame[split.known], season=split.task.season)
    scale = scale["y"].to_numpy() if isinstance(scale, pd.DataFrame) else np.asarray(scale)
    scale = np.where(scale > 0, scale, np.nan)
    if len(scale) != n_series or not np.isfinite(forecast).all():
        raise ValueError(
            f"{split.task.name}: {len(scale)} scales of {n_series} series, or forecasts that are no numbers"
        )
    found: dict[str, Any] = _errors_of(split, forecast, scale, np.ones(n_series, dtype=bool))
    if split.task.name == "m4_weekly":
        alike = resembling(split)
        found["resembling"] = _errors_of(split, forecast, scale, alike)
        found["others"] = _errors_of(split, forecast, scale, ~alike)
    return found


def _errors_of(split: Split, forecast: np.ndarray, scale: np.ndarray, chosen: np.ndarray) -> dict[str, Any]:
    cutoffs = split.cutoffs[chosen[split.cutoffs[:, 0]]]
    shown = chosen[split.cutoffs[:, 0]]
    truth, answer, naive = (_rows(cutoffs, values[shown]) for values in (split.truth, forecast, _last(split)))
    scales = pd.Series(scale[chosen], index=pd.Index(np.flatnonzero(chosen), name="series"))
    found = {
        "smape": smape(truth, answer, average="series"),
        "mase": mase(truth, answer, scale=scales, average="series"),
        "series": int(chosen.sum()),
    }
    if split.task.name == "m4_weekly":
        found["owa"] = owa(truth, answer, naive, scale=scales)
    if np.isnan(scales).any():
        found["series_without_scale"] = int(np.isnan(scales).sum())
    return found


def _rows(cutoffs: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    """A panel of forecasts as the metrics take it: (series, number of the row)."""
    series = np.repeat(cutoffs[:, 0], values.shape[1])
    index = pd.MultiIndex.from_arrays([series, np.arange(len(series))], names=["series", "row"])
    return pd.DataFrame({"y": values.reshape(-1)}, index=index)


def _last(split: Split) -> np.ndarray:
    """The last observed value again: what Naive2 of the M4 competition is where the season is 1."""
    values = split.frame.groupby(level=0, sort=False)["y"].ffill().to_numpy()
    rows = split.offsets[split.cutoffs[:, 0]] + split.cutoffs[:, 1] - 1
    return np.repeat(np.nan_to_num(values[rows])[:, None], split.task.horizon, axis=1)


def resembling(split: Split) -> np.ndarray:
    """Whether the last horizon of known rows and what follows correlate highly with rows that others learn from."""
    size = 2 * split.task.horizon
    values = split.frame["y"].to_numpy()
    ends = split.offsets[:-1] + split.first
    targets = _normalised(values[ends[:, None] + np.arange(-split.task.horizon, split.task.horizon)])
    windows, owners = [], []
    for series, (start, end) in enumerate(zip(split.offsets[:-1], ends, strict=True)):
        windows.append(np.lib.stride_tricks.sliding_window_view(values[start:end], size))
        owners.append(np.full(len(windows[-1]), series))
    owner = np.concatenate(owners)
    stacked = np.concatenate(windows)
    best = np.full(len(targets), -1.0)
    for at in range(0, len(stacked), _CHUNK):
        correlation = targets @ _normalised(stacked[at : at + _CHUNK]).T
        correlation[owner[at : at + _CHUNK] == np.arange(len(targets))[:, None]] = -1.0
        best = np.maximum(best, correlation.max(axis=1))
    return best > _RESEMBLE


def _normalised(windows: np.ndarray) -> np.ndarray:
    """Windows of mean 0 and length 1; constant ones are 0."""
    centred = windows - windows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.where(length > 1e-9 * np.abs(windows).max(axis=1, keepdims=True), length, np.inf)


def filled(split: Split) -> np.ndarray:
    """The values with gaps filled by the median of their phase of the season among the known rows, for rivals."""
    frame, season = split.frame, max(split.task.season, 1)
    values = frame["y"]
    if not values.isna().any():
        return values.to_numpy()
    local = np.arange(len(values)) - np.repeat(split.offsets[:-1], np.diff(split.offsets))
    keys = [frame.index.get_level_values(0), local % season]
    typical = values.where(split.known).groupby(keys).transform("median")
    return values.fillna(typical).to_numpy()
