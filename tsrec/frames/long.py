"""Long tables (one row per series and time stamp, as databases give them) to panel frames and back."""

from collections.abc import Hashable, Sequence

import pandas as pd


def from_long(
    frame: pd.DataFrame,
    *,
    id: Hashable = "unique_id",
    time: Hashable = "ds",
    target: Hashable | Sequence[Hashable] | None = None,
) -> pd.DataFrame:
    """Turn a long table into a panel frame, with a MultiIndex (series, time) in order.

    Parameters
    ----------
    frame : DataFrame
        One row per series and time stamp.
    id, time : hashable
        Columns that name the series and hold the time stamps.
    target : hashable or list of hashable, optional
        Columns to keep. All others when omitted.

    Returns
    -------
    DataFrame
        Indexed by (id, time), a column per variable. The input is left as it was.

    Raises
    ------
    TypeError
        If the column of times holds text.
    ValueError
        If a column is not there.

    Examples
    --------
    >>> table = pd.DataFrame({"unique_id": ["b", "a"], "ds": pd.to_datetime(["2020-01-01"] * 2), "y": [1.0, 2.0]})
    >>> from_long(table)["y"].tolist()
    [2.0, 1.0]
    """
    if target is None:
        targets = [column for column in frame.columns if column not in (id, time)]
    else:
        targets = list(target) if isinstance(target, list | tuple | pd.Index) else [target]
    missing = [column for column in (id, time, *targets) if column not in frame.columns]
    if missing:
        raise ValueError(
            f"frame: it has no column {missing[0]!r}; its columns are {list(frame.columns)}. "
            "Name them with id=, time= and target=."
        )
    stamps = _unboxed(frame[time])
    if pd.api.types.is_object_dtype(stamps.dtype) or pd.api.types.is_string_dtype(stamps.dtype):
        raise TypeError(
            f"frame: column {time!r} holds text or objects such as {stamps.iloc[0] if len(stamps) else ''!r}, not "
            f"times. Convert it first: frame[{time!r}] = "
            f"pd.to_datetime(frame[{time!r}]), with dayfirst=True or format='%d.%m.%Y' where the day comes first."
        )
    if not targets:
        raise ValueError("frame: no column is left to be the target. Name one with target=.")
    panel = frame[[id, *targets]].set_index([id, stamps])[targets]
    return panel if panel.index.is_monotonic_increasing else panel.sort_index()


def _unboxed(stamps: pd.Series) -> pd.Series:
    """Times out of a column of objects or categories; text stays text."""
    if isinstance(stamps.dtype, pd.CategoricalDtype):
        stamps = stamps.astype(stamps.cat.categories.dtype)
    return stamps.infer_objects()


def to_long(panel: pd.DataFrame | pd.Series, *, id: Hashable = "unique_id", time: Hashable = "ds") -> pd.DataFrame:
    """Turn a panel into a long table; the inverse of `from_long`.

    Parameters
    ----------
    panel : DataFrame or Series
        With a MultiIndex (series, time).
    id, time : hashable
        Names for the two index columns.

    Returns
    -------
    DataFrame
        Columns id, time and those of the panel.

    Raises
    ------
    ValueError
        If the index has not two levels, or a column bears the name of id or time.
    """
    if panel.index.nlevels != 2:
        raise ValueError(
            f"panel: its index has {panel.index.nlevels} levels, but (series, time) was expected. Several levels "
            "that name a series can stay columns: use panel.reset_index()."
        )
    frame = panel.to_frame("y" if panel.name is None else panel.name) if isinstance(panel, pd.Series) else panel
    taken = [name for name in (id, time) if name in frame.columns]
    if taken:
        raise ValueError(f"panel: it has a column {taken[0]!r} already. Choose other names with id= and time=.")
    return frame.rename_axis(index=[id, time]).reset_index()
