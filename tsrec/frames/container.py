"""What users hand over (Series, frames, panels, arrays) turned into a panel, and answers into the same container."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from tsrec.frames.checks import check_given, check_numeric
from tsrec.frames.frequency import Offset
from tsrec.frames.grid import TimeGrid
from tsrec.frames.inference import CROSS_VALIDATION_HINT, check_regular, infer_grid, is_default, plain_index
from tsrec.frames.panel import Panel


@dataclass(frozen=True)
class Form:
    """The container of y, which the answer takes.

    Attributes
    ----------
    kind : {"array", "series", "frame"}
        Container.
    columns : Index
        Names of the channels (positions for arrays).
    flat : bool
        Whether an array had one dimension.
    """

    kind: Literal["array", "series", "frame"]
    columns: pd.Index
    flat: bool = False

    def wrap(self, values: np.ndarray, index: pd.Index) -> Any:
        """Put an answer of shape (n_rows, n_channels) into the container."""
        if self.kind == "array":
            return values[:, 0] if self.flat else values
        if self.kind == "series":
            return pd.Series(values[:, 0], index=index, name=self.columns[0])
        return pd.DataFrame(values, index=index, columns=self.columns)


def form_of(y: Any) -> Form:
    """The container of y.

    Parameters
    ----------
    y : Series, DataFrame or array of shape (n_rows,) or (n_rows, n_channels)
        Anything `read_panel` takes.

    Returns
    -------
    Form
    """
    if isinstance(y, pd.Series):
        return Form("series", pd.Index([y.name], dtype=object if y.name is None else None))
    if isinstance(y, pd.DataFrame):
        return Form("frame", y.columns)
    array = np.asarray(y)
    return Form("array", pd.RangeIndex(1 if array.ndim == 1 else array.shape[1]), array.ndim == 1)


def to_numbers(y: Any, *, where: str) -> np.ndarray:
    """Values of a Series, frame or array as numbers; missing values become NaN.

    Parameters
    ----------
    y : Series, DataFrame or array
        Columns of any numeric or boolean dtype.
    where : str
        How errors call the argument.

    Returns
    -------
    float64 array of shape (n_rows, n_columns)

    Raises
    ------
    TypeError
        If a column does not hold numbers, or there are several frames, or none.
    ValueError
        If a value is infinite.
    """
    if isinstance(y, pd.Series):
        y = y.to_frame("values" if y.name is None else y.name)
    if isinstance(y, pd.DataFrame):
        check_numeric(y, where)
        values = y.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        check_given(y, where)
        try:
            values = np.asarray(y, dtype=np.float64)
        except (TypeError, ValueError) as err:
            raise TypeError(f"{where}: not all of its values are numbers ({err}). Give numbers alone.") from err
        values = values[:, None] if values.ndim == 1 else values
    if np.isinf(values).any():
        rows, columns = np.nonzero(np.isinf(values))
        raise ValueError(
            f"{where}: Input {where} contains infinity or a value too large for dtype('float64'): {len(rows)} values, "
            f"the first in row {rows[0]}, column {columns[0]}. Replace them, for example by NaN."
        )
    return values


def columns_message(found: pd.Index, expected: pd.Index, place: str, first: str) -> str:
    """What to tell of a frame whose columns are not those of another.

    Parameters
    ----------
    found, expected : Index
        Columns of the frame, and of the other.
    place, first : str
        How to call the frame, and the other.

    Returns
    -------
    str
    """
    missing, extra = expected.difference(found, sort=False), found.difference(expected, sort=False)
    if len(missing) or len(extra):
        parts = [f"lacks {list(missing)}"] * bool(len(missing)) + [f"has also {list(extra)}"] * bool(len(extra))
        what = " and ".join(parts)
    else:
        what = f"has the columns in another order or number: {list(found)}"
    return (
        f"{place}: its columns differ from those of {first}, {list(expected)}: it {what}. Give every frame the same "
        f"columns, for example with frame[{list(expected)}]."
    )


@dataclass(frozen=True, eq=False)
class Rows:
    """The index of a frame, decoded: which series and which instant each row is.

    Attributes
    ----------
    order : int array or None
        Order that puts the rows of a series together; None when they lie so already.
    offsets : int64 array of shape (n_series + 1,)
        Where the series begin, after ordering.
    ids : Index or None
        Names of the series, in order of appearance; None without a series level.
    times : Index
        Time stamps: of every row (plain index) or the distinct ones of a panel.
    codes : int array or None
        For panels, position in ``times`` of every row, after ordering.
    """

    order: np.ndarray | None
    offsets: np.ndarray
    ids: pd.Index | None
    times: pd.Index
    codes: np.ndarray | None

    def stamps(self) -> pd.Index:
        """Time stamp of every row, in order."""
        return self.times if self.codes is None else self.times.take(self.codes)

    def ordinals(self, grid: TimeGrid, *, where: str) -> np.ndarray:
        """Ordinal of every row, in order."""
        distinct = grid.encode(self.times, where=where)
        return distinct if self.codes is None else distinct[self.codes]


def read_index(index: pd.Index, *, where: str, seconds: bool = False) -> Rows:
    """Decode an index: a plain one is one series, a MultiIndex a panel whose last level is time.

    Parameters
    ----------
    index : Index
        Of a frame.
    where : str
        How errors call the argument.
    seconds : bool
        Whether float times pass, as seconds.

    Returns
    -------
    Rows

    Raises
    ------
    TypeError
        If the labels are neither times nor whole numbers.
    ValueError
        If a label is missing, or there is no row of any series.
    """
    if isinstance(index, pd.MultiIndex) and index.nlevels == 1:
        index = index.get_level_values(0)
    if not isinstance(index, pd.MultiIndex):
        return Rows(None, np.array([0, len(index)]), None, plain_index(index, where, seconds=seconds), None)
    if not len(index):
        raise ValueError(f"{where}: it has 0 rows. Give at least one time step.")
    codes = _series_codes(index)
    times, time_codes = _used_level(index)
    if (time_codes < 0).any() or (codes < 0).any():
        raise ValueError(f"{where}: its index has missing labels. Drop those rows first.")
    changes = np.flatnonzero(np.diff(codes)) + 1
    order = None
    if len(changes) + 1 > len(np.unique(codes[np.r_[0, changes]])):
        order = np.argsort(codes, kind="stable")
        codes, time_codes = codes[order], time_codes[order]
        changes = np.flatnonzero(np.diff(codes)) + 1
    offsets = np.r_[0, changes, len(codes)].astype(np.int64)
    heads = offsets[:-1] if order is None else order[offsets[:-1]]
    ids = index[heads].droplevel(-1)
    return Rows(order, offsets, ids, plain_index(times, where, level=True, seconds=seconds), time_codes)


def _used_level(index: pd.MultiIndex) -> tuple[pd.Index, np.ndarray]:
    """The time stamps that occur, and their codes: a frame cut from a larger one keeps the others as levels."""
    level, codes = index.levels[-1].rename(index.names[-1]), np.asarray(index.codes[-1])
    used = np.bincount(codes[codes >= 0], minlength=len(level)) > 0
    if used.all():
        return level, codes
    return level[used], np.where(codes >= 0, (np.cumsum(used) - 1)[codes], -1)


def _series_codes(index: pd.MultiIndex) -> np.ndarray:
    series = np.asarray(index.codes[0])
    for code, level in zip(index.codes[1:-1], index.levels[1:-1], strict=True):
        both = np.where((series < 0) | (code < 0), -1, series.astype(np.int64) * len(level) + code)
        # Compact, so that the product of many levels does not overflow.
        series = np.unique(both, return_inverse=True)[1] - int((both < 0).any())
    return series


def read_panel(
    y: Any,
    *,
    freq: str | Offset | None = None,
    where: str = "y",
    index: pd.Index | None = None,
    like: TimeGrid | None = None,
) -> Panel:
    """Turn a Series, a wide frame, a panel frame or an array into a `Panel`.

    Parameters
    ----------
    y : Series, DataFrame or array of shape (n_rows,) or (n_rows, n_channels)
        Rows are time steps; with a MultiIndex its last level is time and the others name the series.
    freq : str or offset, optional
        Frequency, where it cannot be read from the index.
    where : str
        How errors call the argument.
    index : Index, optional
        Index of the rows, for a y without one of its own.
    like : TimeGrid, optional
        Grid whose spacing is taken over where the index is of its kind.

    Raises
    ------
    TypeError, ValueError
        If the index holds no times, repeats, gaps or disorder, or if the values are no numbers; the message says how to
        mend it.
    """
    values = to_numbers(y, where=where)
    columns = form_of(y).columns
    if index is None and isinstance(y, pd.Series | pd.DataFrame):
        index = y.index
    if index is None or (is_default(index) and not isinstance(index, pd.MultiIndex)):
        name = None if index is None else index.name
        grid = TimeGrid("position", 1, name=name)
        return Panel(values, np.array([0, len(values)]), np.zeros(1, dtype=np.int64), grid, columns)
    rows = read_index(index, where=where)
    if not len(values):
        raise ValueError(f"{where}: it has 0 rows. Give at least one time step.")
    known = freq is not None or like is not None
    stamps = rows.times if known else rows.stamps()
    bounds = rows.offsets if rows.codes is None or not known else np.array([0, len(rows.times)])
    grid = infer_grid(stamps, bounds, freq, where=where, like=like)
    ordinals = rows.ordinals(grid, where=where)
    # A history is not what cross-validation splits.
    hint = CROSS_VALIDATION_HINT if like is None else ""
    check_regular(grid, ordinals, rows.offsets, where=where, ids=rows.ids, hint=hint)
    if rows.order is not None:
        values = values[rows.order]
    return Panel(values, rows.offsets, ordinals[rows.offsets[:-1]], grid, columns, rows.ids)


def panel_index(panel_ids: pd.Index | None, grid: TimeGrid, series: np.ndarray, ordinals: np.ndarray) -> pd.Index:
    """Index of answer rows: the time of each, under its series if there are any.

    Parameters
    ----------
    panel_ids : Index or None
        Names of the series.
    grid : TimeGrid
        Meaning of the ordinals.
    series, ordinals : int arrays of shape (n,)
        Series and instant of each row.
    """
    if panel_ids is None:
        if len(ordinals) and (np.diff(ordinals) == grid.step).all():
            return grid.run(int(ordinals[0]), len(ordinals))
        return grid.decode(ordinals)
    return stacked_index(panel_ids, grid, series, {grid.name: ordinals})


def stacked_index(
    panel_ids: pd.Index | None, grid: TimeGrid, series: np.ndarray, ordinals: dict[Any, np.ndarray]
) -> pd.MultiIndex:
    """A MultiIndex of series and one or more levels of time, made from codes without comparing labels.

    Parameters
    ----------
    panel_ids : Index or None
        Names of the series; None leaves their level out.
    grid : TimeGrid
        Meaning of the ordinals.
    series : int array of shape (n,)
        Series of each row.
    ordinals : dict of int arrays of shape (n,)
        Instants of each row, by the name of their level.
    """
    levels: list[pd.Index] = []
    codes: list[np.ndarray] = []
    names: list[Hashable] = []
    if isinstance(panel_ids, pd.MultiIndex):
        levels, names = [*panel_ids.levels], [*panel_ids.names]
        codes = [np.asarray(code)[series] for code in panel_ids.codes]
    elif panel_ids is not None:
        levels, codes, names = [panel_ids], [series], [panel_ids.name]
    for name, stamps in ordinals.items():
        distinct, code = np.unique(stamps, return_inverse=True)
        levels.append(grid.decode(distinct))
        codes.append(code)
        names.append(name)
    return pd.MultiIndex(levels=levels, codes=codes, names=names, verify_integrity=False)


def variable_names(columns: pd.Index) -> list[Hashable]:
    """Names of the variables in answers with several columns each: 0 for an unnamed series, as sktime has it.

    Parameters
    ----------
    columns : Index
        Names of the channels.

    Returns
    -------
    list
    """
    return [0 if len(columns) == 1 and name is None else name for name in columns]
