"""Rows to be judged, read beside the history they follow, and answers in the caller's container."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted, validate_data

from tsrec.estimators._read import Names, read_history
from tsrec.frames import Panel, read_index, variable_names


@dataclass(frozen=True, eq=False)
class ReadRows:
    """A panel of rows to judge, with the rows known before them.

    Attributes
    ----------
    panel : Panel
        History and rows.
    needed : int array of shape (n,)
        Ascending rows of the panel whose surprise answers depend on.
    asked : bool array of shape (n,)
        Which of them were asked for.
    order : int array or None
        The caller's order of the rows asked for; None where it is the panel's.
    index : Index or None
        The caller's; None for arrays.
    """

    panel: Panel
    needed: np.ndarray
    asked: np.ndarray
    order: np.ndarray | None
    index: pd.Index | None

    @property
    def series(self) -> np.ndarray:
        """Series of each needed row."""
        return np.searchsorted(self.panel.offsets, self.needed, side="right") - 1

    @property
    def step(self) -> np.ndarray:
        """Rows known before each needed row."""
        return self.needed - self.panel.offsets[self.series]

    def answer(self, values: np.ndarray) -> Any:
        """Values of the needed rows as an answer for those asked for."""
        values = values[self.asked]
        values = values if self.order is None else values[self.order]
        if self.index is None:
            return values
        return pd.Series(values, self.index) if values.ndim == 1 else pd.DataFrame(values, self.index)


def fit_rows(detector: Any, X: Any) -> ReadRows:
    """Fit the detector's forecaster to X, and read it."""
    forecaster = detector._new_forecaster()
    if not isinstance(X, pd.Series | pd.DataFrame):
        X = _checked_array(detector, X, reset=True)
    detector.forecaster_ = forecaster.fit(X)
    detector.n_features_in_ = forecaster.n_features_in_
    if hasattr(forecaster, "feature_names_in_"):
        detector.feature_names_in_ = forecaster.feature_names_in_
    elif hasattr(detector, "feature_names_in_"):
        del detector.feature_names_in_
    panel = forecaster.panel_
    rows = np.arange(len(panel.values))
    return ReadRows(panel, rows, np.ones(len(rows), dtype=bool), _order(X), _index(X))


def read_rows(detector: Any, X: Any) -> ReadRows:
    """Read rows like those of fit, and put what is known before each series in front of it."""
    check_is_fitted(detector)
    if isinstance(X, pd.Series | pd.DataFrame):
        frame = X if isinstance(X, pd.DataFrame) else X.to_frame("y" if X.name is None else X.name)
        validate_data(detector, frame, skip_check_array=True, reset=False)
    else:
        X = _checked_array(detector, X, reset=False)
    forecaster = detector.forecaster_
    panel = read_history(forecaster, X, None, None, Names("X", "X", "past"))
    before = _known_before(panel, forecaster.panel_)
    longer = _joined(panel, forecaster.panel_, before)
    reach = detector.smoothing - 1 + (detector.memory or 0)
    first = longer.offsets[:-1] + np.maximum(before - reach, 0)
    local = np.arange(len(longer.values))
    series = np.repeat(np.arange(longer.n_series), longer.lengths)
    needed = local[local >= first[series]]
    own = series[needed]
    return ReadRows(longer, needed, needed >= (longer.offsets[:-1] + before)[own], _order(X), _index(X))


def _checked_array(detector: Any, X: Any, *, reset: bool) -> np.ndarray:
    return validate_data(detector, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")


def _index(X: Any) -> pd.Index | None:
    return X.index if isinstance(X, pd.Series | pd.DataFrame) else None


def _order(X: Any) -> np.ndarray | None:
    """Where in the panel each row of X is; None where they are in its order."""
    index = _index(X)
    if index is None or index.nlevels < 2:
        return None
    moved = read_index(index, where="X").order
    return None if moved is None else np.argsort(moved)


def _same_series(panel: Panel, known: Panel) -> np.ndarray:
    """Which of the known series each series goes on with, -1 for none."""
    none = np.full(panel.n_series, -1)
    if not panel.grid.has_time or (panel.ids is None) != (known.ids is None):
        return none
    if panel.ids is None or known.ids is None:
        return np.zeros(1, dtype=np.int64)
    return known.ids.get_indexer(panel.ids)


def _known_before(panel: Panel, known: Panel) -> np.ndarray:
    """How many steps of history come before each series, int (n_series,).

    None where the series is new, or has a gap before it that is longer than what is known.
    """
    which = _same_series(panel, known)
    step = panel.grid.step
    before = (panel.starts - known.starts[which]) // step
    gap = (panel.starts - known.ends[which]) // step
    off = (panel.starts - known.starts[which]) % step != 0
    return np.where((which < 0) | (before < 0) | (gap > known.lengths[which]) | off, 0, before)


def _joined(panel: Panel, known: Panel, before: np.ndarray) -> Panel:
    """The panel with what is known in front of each series; steps that are not known are missing."""
    if not before.any():
        return panel
    which = _same_series(panel, known)
    longer = panel.resized(before, np.zeros_like(before))
    taken = np.where(before > 0, np.minimum(before, known.lengths[which]), 0)
    ends = np.cumsum(taken)
    local = np.arange(int(ends[-1])) - np.repeat(ends - taken, taken)
    longer.values[np.repeat(longer.offsets[:-1], taken) + local] = known.values[
        np.repeat(known.offsets[:-1][which], taken) + local
    ]
    return longer


def columns_of(names: list[Any], parts: tuple[str, ...]) -> pd.MultiIndex:
    """Columns (variable, part)."""
    return pd.MultiIndex.from_product([names, parts], names=["variable", "bound"])


def found_runs(
    rows: ReadRows, scores: np.ndarray, units: np.ndarray, error: np.ndarray, *, offset: float, gap: int
) -> pd.DataFrame:
    """Runs of rows with a score below `offset`, as a table; see ``AnomalyDetector.detect``."""
    panel, needed, series = rows.panel, rows.needed, rows.series
    odd = np.flatnonzero(rows.asked & (scores < offset))
    begins = np.flatnonzero(np.diff(odd, prepend=-gap - 2) > gap + 1)
    begins = np.union1d(begins, np.flatnonzero(np.diff(series[odd], prepend=-1) != 0)).astype(np.int64)
    first, last = odd[begins], odd[np.r_[begins[1:], len(odd)] - 1] if len(odd) else odd
    run = np.repeat(np.arange(len(begins)), np.diff(np.r_[begins, len(odd)]))
    # The lowest score of each run: first by run, then by score.
    peak = odd[np.lexsort((scores[odd], run))][begins]
    channel = np.nan_to_num(np.abs(units[peak])).argmax(axis=1)
    value = panel.values[needed[peak], channel]
    stamp = panel.starts[series] + rows.step * panel.grid.step
    decode = panel.grid.decode
    return pd.DataFrame(
        {
            "series": panel.labels[series[first]],
            "start": decode(stamp[first]),
            "end": decode(stamp[last] + panel.grid.step),
            "n_rows": last - first + 1,
            "peak": decode(stamp[peak]),
            "score": scores[peak],
            "variable": pd.Index(variable_names(panel.columns)).take(channel),
            "observed": value,
            "expected": value - error[peak, channel],
        }
    )
