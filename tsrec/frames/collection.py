"""Collections of series of any lengths, for estimators that give one answer per series."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames.container import Rows, columns_message, form_of, read_index, to_numbers
from tsrec.frames.inference import check_regular, holds_times, infer_grid, is_default, plain_index
from tsrec.frames.panel import offsets_of


@dataclass(frozen=True, eq=False)
class Collection:
    """Series of any lengths, one after another; series i owns rows ``offsets[i]:offsets[i + 1]``.

    The arrays may share memory with what the user gave: read them, never write to them.

    Attributes
    ----------
    values : float64 array of shape (n_rows, n_channels)
        NaN where missing; no infinities.
    offsets : int64 array of shape (n_series + 1,)
        First row of each series, then the number of rows.
    columns : Index of length n_channels
        Names of the channels, their numbers where they have none.
    labels : Index of length n_series
        Index of answers with one row per series.
    named : bool
        Whether the labels name the series (panel, dict), so that a target can be aligned by name.
    steps : MultiIndex or None
        Index (series..., time) of the rows, in the order of ``values``; None where rows are only numbered.
    days : float or None
        About how many days lie between steps; None where nothing tells.
    """

    values: np.ndarray
    offsets: np.ndarray
    columns: pd.Index
    labels: pd.Index
    named: bool
    steps: pd.MultiIndex | None = None
    days: float | None = None

    @property
    def n_series(self) -> int:
        """Number of series."""
        return len(self.offsets) - 1

    @property
    def n_channels(self) -> int:
        """Number of channels (variables)."""
        return self.values.shape[1]

    @property
    def lengths(self) -> np.ndarray:
        """Rows of each series, int64 of shape (n_series,)."""
        return np.diff(self.offsets)

    def row_index(self) -> pd.MultiIndex:
        """Index of answers with one row per step: ``steps``, or the labels with the number of the step."""
        if self.steps is not None:
            return self.steps
        lengths = self.lengths
        number = np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], lengths)
        return _stacked(self.labels, lengths, pd.RangeIndex(lengths.max(initial=0), name="step"), number)

    def take(self, series: np.ndarray) -> "Collection":
        """The collection of these series only, in this order."""
        lengths = self.lengths[series]
        offsets = offsets_of(lengths)
        rows = np.repeat(self.offsets[:-1][series] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return replace(
            self,
            values=self.values[rows],
            offsets=offsets,
            labels=self.labels[series],
            steps=None if self.steps is None else self.steps[rows],
        )


def is_rows(X: Any) -> bool:
    """Whether X follows scikit-learn's convention: a table with one series a row.

    Such an X goes through scikit-learn's ``validate_data`` and then `from_rows`, any other through `read_collection`.

    Parameters
    ----------
    X : array-like, sparse matrix, Series, DataFrame, list, tuple or dict
        What the user gave.

    Returns
    -------
    bool

    Raises
    ------
    TypeError
        If X is a Series that names no series in its index.
    ValueError
        If X is a Series or frame with a single index of times: a recording, not a collection.

    Examples
    --------
    >>> is_rows(np.zeros((5, 24))), is_rows(np.zeros((5, 2, 24)))
    (True, False)
    """
    if isinstance(X, pd.Series | pd.DataFrame):
        return _is_table(X)
    if isinstance(X, Mapping):
        return False
    if _is_listing(X):
        return len(X) > 0 and not any(_dimensions(element) for element in X)
    return _dimensions(X) < 3


def _is_table(X: pd.Series | pd.DataFrame) -> bool:
    if X.index.nlevels > 1:
        return False
    index = X.index.get_level_values(0)
    # Floats are seconds where the index says so; any others may only label rows.
    timed = holds_times(index) or (index.dtype.kind == "f" and index.name == "time")
    if timed or "sfreq" in X.attrs:
        found = f"its index holds times ({index.dtype})" if timed else "attrs['sfreq'] states a sampling rate"
        raise ValueError(
            f"X: {found}, so it is one recording, but a collection of series was expected. Use "
            "tsrec.frames.windows(recording, length, step) to cut it into series, or [frame] for a collection of one "
            "series. If each row is a series, use frame.to_numpy()."
        )
    if isinstance(X, pd.Series):
        raise TypeError(
            "X: a Series alone is not a collection. Pass [series] or series.to_frame().T for one series, or give it "
            "an index (series, time)."
        )
    return True


def _is_listing(X: Any) -> bool:
    """Whether X is a list, or an array of objects used as one."""
    return isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype == object)


def _dimensions(X: Any) -> int:
    """Dimensions of a Series, frame or array; 0 for numbers, and for lists, which are rows of a table."""
    if not hasattr(X, "ndim") and hasattr(X, "__array__"):
        return np.asarray(X).ndim
    return getattr(X, "ndim", 0)


def from_rows(values: np.ndarray, labels: pd.Index) -> Collection:
    """A collection with one channel, from a table with one series a row.

    Parameters
    ----------
    values : float array of shape (n_series, n_times)
        Checked already, as by scikit-learn's ``validate_data``.
    labels : Index of length n_series
        Index of the answers.

    Returns
    -------
    Collection

    Examples
    --------
    >>> from_rows(np.array([[1.0, 2.0], [3.0, 4.0]]), pd.RangeIndex(2)).offsets
    array([0, 2, 4])
    """
    values = np.asarray(values, dtype=np.float64)
    offsets = np.arange(len(values) + 1, dtype=np.int64) * values.shape[1]
    return Collection(values.reshape(-1, 1), offsets, pd.RangeIndex(1), labels, named=False)


def read_collection(X: Any, *, where: str = "X") -> Collection:
    """Turn everything that is not a table of rows (see `is_rows`) into a collection.

    Parameters
    ----------
    X : array of shape (n_series, n_channels, n_times), panel, list or dict
        A panel is a Series or frame with a MultiIndex, whose last level is time and whose others name the series.
        A list or dict holds a Series, a frame or an array of shape (n_times,) or (n_times, n_channels) per series.
    where : str
        How errors call the argument.

    Returns
    -------
    Collection

    Raises
    ------
    TypeError
        If X is of no such kind, or does not hold numbers.
    ValueError
        If there is no series, no channel or an empty series, if a value is infinite, if the series do not have the same
        channels, or if their times repeat, gap or are in disorder.

    Examples
    --------
    >>> collection = read_collection([np.array([1.0, 2.0, 3.0]), np.array([4.0])])
    >>> collection.lengths
    array([3, 1])
    """
    if isinstance(X, Mapping):
        return _read_elements(list(X.values()), pd.Index(list(X)), named=True, where=where)
    if _is_listing(X):
        return _read_elements(list(X), pd.RangeIndex(len(X)), named=False, where=where)
    if isinstance(X, pd.Series | pd.DataFrame):
        if X.index.nlevels > 1:
            return _read_stacked(X, where)
    elif _dimensions(X) == 3:
        return _read_cube(X, where)
    shape = f" of {_dimensions(X)} dimensions" if hasattr(X, "__array__") else ""
    error = ValueError if _dimensions(X) > 3 else TypeError
    raise error(
        f"{where}: expected an array (n_series, n_channels, n_times), a frame with an index (series, time), or a list "
        f"or dict of frames or arrays; found {type(X).__name__}{shape}."
    )


def _read_cube(X: Any, where: str) -> Collection:
    cube = np.asarray(X)
    n_series, n_channels, n_times = cube.shape
    _check_some(n_series, n_channels, where)
    if not n_times:
        raise ValueError(f"{where}: its series have 0 rows (shape {cube.shape}). Give at least one time step.")
    values = _array_numbers(cube, where).transpose(0, 2, 1).reshape(-1, n_channels)
    offsets = np.arange(n_series + 1, dtype=np.int64) * n_times
    return Collection(values, offsets, pd.RangeIndex(n_channels), pd.RangeIndex(n_series), named=False)


def _read_stacked(X: pd.Series | pd.DataFrame, where: str) -> Collection:
    _check_some(len(X), X.shape[1] if X.ndim == 2 else 1, where)
    values = to_numbers(X, where=where)
    rows, days = _check_steps(X.index, where)
    order = rows.order
    if order is not None:
        values = values[order]
    named = isinstance(X, pd.DataFrame) or X.name is not None
    columns = form_of(X).columns if named else pd.RangeIndex(1)
    steps = X.index if order is None else X.index[order]
    assert rows.ids is not None
    return Collection(values, rows.offsets, columns, rows.ids, named=True, steps=steps, days=days)


def _check_steps(index: pd.MultiIndex, where: str) -> tuple[Rows, float | None]:
    """Which series and instant each row is, and the days between steps if known; irregular times are refused."""
    rows = read_index(index, where=where)
    # Series of one row each are regular whatever the frequency, which could not be inferred.
    if (np.diff(rows.offsets) <= 1).all():
        return rows, None
    grid = infer_grid(rows.stamps(), rows.offsets, where=where)
    check_regular(grid, rows.ordinals(grid, where=where), rows.offsets, where=where, ids=rows.ids, hint="")
    return rows, grid.days


def _read_elements(elements: list[Any], labels: pd.Index, *, named: bool, where: str) -> Collection:
    _check_some(len(elements), 1, where)
    places = [f"{where}[{label!r}]" for label in labels]
    blocks = [_block(element, place) for element, place in zip(elements, places, strict=True)]
    columns = _common_columns(elements, blocks, places)
    lengths = np.array([len(block) for block in blocks], dtype=np.int64)
    steps = days = None
    if all(isinstance(element, pd.Series | pd.DataFrame) for element in elements):
        indexes = [_own_index(element.index, place) for element, place in zip(elements, places, strict=True)]
        timed = np.flatnonzero([not is_default(index) for index in indexes])
        if len(timed):
            stamps, named_so = [indexes[i] for i in timed], [places[i] for i in timed]
            stacked = _stacked_times(stamps, labels[timed], lengths[timed], named_so)
            days = _check_elements(stacked, where)
            steps = stacked if len(timed) == len(indexes) else None
    return Collection(np.concatenate(blocks), offsets_of(lengths), columns, labels, named, steps, days)


def _check_elements(steps: pd.MultiIndex, where: str) -> float | None:
    try:
        return _check_steps(steps, where)[1]
    except ValueError as error:
        if steps.levels[-1].dtype.kind not in "iu":
            raise
        # Frames cut from one long table keep its row numbers, which say nothing about time.
        raise ValueError(f"{error} If the index only numbers the rows, use frame.reset_index(drop=True).") from error


def _block(element: Any, where: str) -> np.ndarray:
    """One series as numbers of shape (n_times, n_channels)."""
    if isinstance(element, pd.Series | pd.DataFrame):
        block = to_numbers(element, where=where)
    elif hasattr(element, "__array__") or isinstance(element, list | tuple):
        block = _array_numbers(element, where)
        block = block[:, None] if block.ndim == 1 else block
    else:
        raise TypeError(f"{where}: found {type(element).__name__}. Give a frame, a Series or an array per series.")
    if block.ndim != 2:
        raise ValueError(
            f"{where}: it has {block.ndim} dimensions. Give each series as (n_times,) or (n_times, n_channels)."
        )
    if not len(block):
        raise ValueError(f"{where}: the series has 0 rows. Leave it out, or give at least one time step.")
    _check_some(1, block.shape[1], where)
    return block


def _array_numbers(block: Any, where: str) -> np.ndarray:
    mend = "Give int, float or boolean values."
    try:
        array = np.asarray(block)
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{where}: its values cannot be read as numbers ({error}). {mend}") from error
    if array.dtype.kind == "c":
        raise ValueError(f"{where}: Complex data not supported. Give the real and imaginary parts as channels.")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{where}: it holds {array.dtype}, not numbers. {mend}")
    numbers = array.astype(np.float64, copy=False)
    infinite = np.isinf(numbers)
    if infinite.any():
        first = np.unravel_index(infinite.argmax(), infinite.shape)
        raise ValueError(
            f"{where}: Input {where} contains infinity or a value too large for dtype('float64'): {infinite.sum()} "
            f"values, the first at {[int(i) for i in first]}. Replace them, for example by NaN."
        )
    return numbers


def _common_columns(elements: list[Any], blocks: list[np.ndarray], places: list[str]) -> pd.Index:
    """Names of the channels, which frames must agree in; names of Series often name the series and may differ."""
    first, width = elements[0], blocks[0].shape[1]
    for element, block, place in zip(elements, blocks, places, strict=True):
        if isinstance(element, pd.DataFrame) != isinstance(first, pd.DataFrame):
            raise ValueError(
                f"{place}: it is {type(element).__name__}, {places[0]} is {type(first).__name__}. Give frames for all "
                "series, so that their channels can be compared by name, or for none."
            )
        if isinstance(first, pd.DataFrame):
            if not element.columns.equals(first.columns):
                raise ValueError(columns_message(element.columns, first.columns, place, places[0]))
        elif block.shape[1] != width:
            raise ValueError(
                f"{place}: it has {block.shape[1]} channels, {places[0]} has {width}. Give (n_times, n_channels) with "
                "the same channels for all series."
            )
    if isinstance(first, pd.DataFrame):
        return first.columns
    names = {element.name if isinstance(element, pd.Series) else None for element in elements}
    name = names.pop()
    alone = len(elements) == 1
    return pd.RangeIndex(width) if names or alone or name is None else pd.Index([name])


def _own_index(index: pd.Index, where: str, *, seconds: bool = False) -> pd.Index:
    """Times of one series; levels that name it (as groupby leaves them) are dropped."""
    if isinstance(index, pd.MultiIndex):
        if any((code != code[0]).any() for code in map(np.asarray, index.codes[:-1])):
            raise ValueError(
                f"{where}: its index names {index.droplevel(-1).nunique()} series, but it stands for one. Give the "
                "whole panel as X, or a frame per series."
            )
        index = index.get_level_values(-1)
    return index if is_default(index) else plain_index(index, where, seconds=seconds)


def _stacked_times(indexes: list[pd.Index], labels: pd.Index, lengths: np.ndarray, places: list[str]) -> pd.MultiIndex:
    times = indexes[0].append(indexes[1:])
    if times.dtype == object:
        first = indexes[0][:1]
        odd = next(i for i, index in enumerate(indexes) if first.append(index[:1]).dtype == object)
        raise ValueError(
            f"{places[odd]}: its index holds {indexes[odd].dtype}, that of {places[0]} {first.dtype}. Give all series "
            "one kind of index, one time zone and one frequency."
        )
    codes, level = times.factorize(sort=True)
    return _stacked(labels, lengths, level.rename(times.name), codes)


def _stacked(labels: pd.Index, lengths: np.ndarray, last: pd.Index, codes: np.ndarray) -> pd.MultiIndex:
    """A MultiIndex of series and one more level, made from codes without comparing labels."""
    if isinstance(labels, pd.MultiIndex):
        levels, places = [*labels.levels], [np.asarray(code) for code in labels.codes]
    else:
        place, level = labels.factorize()
        levels, places = [level], [place]
    return pd.MultiIndex(
        levels=[*levels, last],
        codes=[*(np.repeat(place, lengths) for place in places), codes],
        names=[*labels.names, last.name],
        verify_integrity=False,
    )


def _check_some(n_series: int, n_channels: int, where: str) -> None:
    if not n_series:
        raise ValueError(f"{where}: found 0 sample(s), but a collection needs at least one series.")
    if not n_channels:
        raise ValueError(f"{where}: found 0 feature(s), but a series needs at least one channel (column).")
