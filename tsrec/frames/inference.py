"""From an index to its grid: the frequency is read, inferred or taken from the user, and gaps are refused by name."""

from dataclasses import replace

import numpy as np
import pandas as pd

from tsrec.frames.frequency import Kind, Offset, Rhythm, month_rule, rhythm, to_offset
from tsrec.frames.grid import TimeGrid, _nanoseconds, datetime_grid
from tsrec.frames.panel import label_at

_DAY = 86_400_000_000_000
CROSS_VALIDATION_HINT = (
    " In cross-validation use TimeSeriesSplit: KFold and shuffled splits cut holes into the training rows."
)


def plain_index(index: pd.Index, where: str, *, level: bool = False, seconds: bool = False) -> pd.Index:
    """An index with a numpy, datetime, timedelta or period dtype; Arrow and nullable ones are converted.

    Parameters
    ----------
    index : Index
        Times or whole numbers.
    where : str
        How errors call the frame.
    level : bool
        Whether it is the last level of the frame's index.
    seconds : bool
        Whether floats pass, as seconds.

    Raises
    ------
    TypeError
        If the labels are neither times nor whole numbers.
    ValueError
        If a label is missing.
    """
    if index.hasnans:
        raise ValueError(
            f"{where}: its index has {int(index.isna().sum())} missing time stamps. Drop those rows first."
        )
    if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex | pd.PeriodIndex):
        return index
    kind = getattr(index.dtype, "kind", "O")
    if kind == "M":
        return pd.DatetimeIndex(index)
    if kind == "m":
        return pd.TimedeltaIndex(index)
    if kind in "iu":
        return index if isinstance(index.dtype, np.dtype) else pd.Index(index.to_numpy(dtype=np.int64), name=index.name)
    if seconds and kind == "f":
        return index if isinstance(index.dtype, np.dtype) else pd.Index(index.to_numpy(np.float64), name=index.name)
    example = repr(index[0]) if len(index) else ""
    mend = f"{where}.index = pd.to_datetime({where}.index)"
    if level:
        mend = f"{where}.index = {where}.index.set_levels(pd.to_datetime({where}.index.levels[-1]), level=-1)"
    last = f" If another level holds the times, put it last: {where}.swaplevel().sort_index()." if level else ""
    raise TypeError(
        f"{where}: its index holds {index.dtype} labels such as {example}, not times. Convert them, for example with "
        f"{mend}, or use a whole-number index.{last}"
    )


def is_default(index: pd.Index) -> bool:
    """Whether an index is the one pandas gives when none was set: a RangeIndex from 0 in steps of 1.

    Parameters
    ----------
    index : Index
        Labels of rows or columns.

    Returns
    -------
    bool
    """
    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1


def holds_times(index: pd.Index) -> bool:
    """Whether the labels of an index are instants, durations or periods.

    Parameters
    ----------
    index : Index
        With a single level.

    Returns
    -------
    bool
    """
    return isinstance(index, pd.PeriodIndex) or getattr(index.dtype, "kind", "O") in "mM"


def infer_grid(
    index: pd.Index,
    bounds: np.ndarray,
    freq: str | Offset | None = None,
    *,
    where: str = "y",
    like: TimeGrid | None = None,
) -> TimeGrid:
    """Grid of an index whose rows ``bounds[i]:bounds[i + 1]`` are the ascending stamps of series i.

    Parameters
    ----------
    index : Index of length n
        Stamps, already converted by `plain_index`.
    bounds : int array of shape (n_series + 1,)
        Where the series begin.
    freq : str, offset or None
        The frequency, if the user gave it. Otherwise it is read from the index or inferred.
    where : str
        How errors call the argument.
    like : TimeGrid, optional
        Grid of the same kind whose spacing is taken over, so that a single row or a short run is not guessed at.

    Raises
    ------
    ValueError
        If no regular spacing can be found: it names what is missing, how many and after which stamp.
    """
    if isinstance(index, pd.PeriodIndex):
        return TimeGrid("period", index.freq.n, freq=index.freqstr, name=index.name)
    if not isinstance(index, pd.DatetimeIndex):
        unit = index.unit if isinstance(index, pd.TimedeltaIndex) else "us"
        ordinals = index.asi8 if isinstance(index, pd.TimedeltaIndex) else index.to_numpy(dtype=np.int64)
        kind: Kind = "delta" if isinstance(index, pd.TimedeltaIndex) else "integer"
        if like is not None and like.kind == kind:
            step = like.step if kind == "integer" else like.nanoseconds(like.step) // _nanoseconds(unit)
            return TimeGrid(kind, step, unit, freq=like.freq, name=index.name)
        step = _usual_step(_inner_diffs(ordinals, bounds), default=1 if kind == "integer" else None, where=where)
        if freq is not None and kind == "delta":
            step = rhythm(freq, where="freq").step // _nanoseconds(unit)
        return TimeGrid(kind, step, unit, freq=_delta_alias(step, unit) if kind == "delta" else None, name=index.name)
    if freq is None and like is not None and like.kind in ("fixed", "wall", "month", "business"):
        freq = like.freq
    if freq is None and index.freq is not None and index.freq.n > 0:
        freq = index.freq
    if freq is not None:
        _check_anchor(freq, index[0], where)
        return replace(datetime_grid(index, rhythm(freq)), freq=to_offset(freq).freqstr)
    return datetime_grid(index, _infer_rhythm(index, bounds, where))


def _check_anchor(freq: str | Offset, first: pd.Timestamp, where: str) -> None:
    """Refuse a frequency whose stamps lie elsewhere: weeks that end on Sundays for data of Mondays."""
    offset = to_offset(freq)
    if not isinstance(offset, pd.offsets.Tick) and not offset.is_on_offset(first):
        raise ValueError(
            f"freq: {offset.freqstr!r} does not fit {where}, whose first time stamp is {first} "
            f"({first.day_name()}). Leave "
            "freq out, or give the anchor that fits, for example 'W-MON' or 'QS-FEB'."
        )


def check_regular(
    grid: TimeGrid,
    ordinals: np.ndarray,
    bounds: np.ndarray,
    *,
    where: str,
    ids: pd.Index | None,
    hint: str = CROSS_VALIDATION_HINT,
) -> None:
    """Refuse repeats, descents and gaps inside the series ``bounds[i]:bounds[i + 1]``; one pass when all is well."""
    diffs = np.diff(ordinals)
    inner = _inner_mask(len(ordinals), bounds)
    wrong = np.flatnonzero((diffs != grid.step) & inner)
    if not len(wrong):
        return
    steps = diffs[wrong]
    for is_so in (steps == 0, steps < 0, steps % grid.step != 0, steps > 0):
        if is_so.any():
            rows = wrong[is_so]
            raise ValueError(f"{where}:{_who(rows, bounds, ids)} {_complaint(grid, ordinals, rows, where, ids, hint)}")


def _who(rows: np.ndarray, bounds: np.ndarray, ids: pd.Index | None) -> str:
    """Whom a complaint is about: one series by its name, or how many and the first."""
    if ids is None:
        return " has"
    series = np.searchsorted(bounds, rows, side="right") - 1
    count, first = len(np.unique(series)), label_at(ids, int(series[0]))
    if count == 1:
        return f" series {first!r} has"
    return f" {count} of the {len(ids)} series, the first {first!r}, have"


def _complaint(
    grid: TimeGrid, ordinals: np.ndarray, rows: np.ndarray, where: str, ids: pd.Index | None, hint: str
) -> str:
    """What is wrong after these rows, all of which go wrong in the same way, and how to mend it."""
    steps, stamp = ordinals[rows + 1] - ordinals[rows], grid.decode(ordinals[rows[:1]])[0]
    if steps[0] == 0:
        return (
            f"{len(rows)} repeated time stamps, the first is {stamp}. Keep one row per stamp, for example with "
            f"{where}[~{where}.index.duplicated()] or groupby(level=...).mean(). A local clock that is turned back "
            "repeats an hour: give it its zone with tz_localize(..., ambiguous='infer')."
        )
    if steps[0] < 0:
        return f"rows that are not in order of time, the first after {stamp}. Use {where}.sort_index()."
    if steps[0] % grid.step:
        return (
            f"{len(rows)} steps that do not fit the frequency {grid.freq or grid.step!r}, the first after {stamp}. "
            f"Resample to one frequency, for example with {where}.resample({grid.freq or 'h'!r}).mean()."
        )
    mend = f"{where}.asfreq({grid.freq!r})" if grid.freq else f"{where}.reindex"
    if ids is not None:
        mend = f"{where}.groupby(level=0).apply(lambda s: s.droplevel(0).asfreq({grid.freq!r}))"
    missing = int((steps // grid.step - 1).sum())
    return f"{missing} missing timestamps, the first after {stamp}; use {mend} to insert them.{hint}"


def _inner_mask(rows: int, bounds: np.ndarray) -> np.ndarray:
    inner = np.ones(max(rows - 1, 0), dtype=bool)
    inner[bounds[1:-1] - 1] = False
    return inner


def _inner_diffs(ordinals: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    return np.diff(ordinals)[_inner_mask(len(ordinals), bounds)]


def _usual_step(diffs: np.ndarray, *, default: int | None, where: str) -> int:
    # Rows in disorder still get a step, so that the disorder can be named.
    positive = diffs[diffs > 0] if (diffs > 0).any() else np.maximum(-diffs, 1)
    if not len(positive):
        if default is not None:
            return default
        raise ValueError(f"{where}: a single time stamp has no frequency. Give freq=, for example freq='D'.")
    if (positive == positive[0]).all():
        return int(positive[0])
    steps, counts = np.unique(positive[:100_000], return_counts=True)
    return int(steps[counts.argmax()])


def _infer_rhythm(index: pd.DatetimeIndex, bounds: np.ndarray, where: str) -> Rhythm:
    """The spacing that explains an index exactly, or else the likeliest one, so that what is missing can be named."""
    nanoseconds = _nanoseconds(index.unit)
    wall = index if index.tz is None else index.tz_localize(None)
    diffs, wall_diffs = _inner_diffs(index.asi8, bounds), _inner_diffs(wall.asi8, bounds)
    step = _usual_step(diffs, default=None, where=where) * nanoseconds
    wall_step = _usual_step(wall_diffs, default=None, where=where) * nanoseconds
    if wall_step >= 28 * _DAY and (months := _monthly(wall, bounds)) is not None:
        return months
    # A zone that skips midnight has one day begin an hour later.
    off_day = (wall_diffs * nanoseconds + _DAY // 2) % _DAY - _DAY // 2
    if wall_step % _DAY or (np.abs(off_day) > (0 if index.tz is None else _DAY // 12)).any():
        return Rhythm("fixed", step)
    if wall_step == _DAY and not (wall_diffs * nanoseconds == _DAY).all() and (wall.day_of_week < 5).all():
        return Rhythm("business", 1)
    return Rhythm("wall", wall_step)


def _monthly(wall: pd.DatetimeIndex, bounds: np.ndarray) -> Rhythm | None:
    rule = month_rule(wall.to_numpy().astype("M8[D]"))
    if rule is None or len(np.unique(wall.asi8 - wall.normalize().asi8)) > 1:
        return None
    months = wall.to_numpy().astype("M8[M]").astype(np.int64)
    return Rhythm("month", _usual_step(_inner_diffs(months, bounds), default=1, where="y"), rule)


def _delta_alias(step: int, unit: str) -> str:
    return pd.tseries.frequencies.to_offset(pd.Timedelta(step * _nanoseconds(unit), unit="ns")).freqstr
