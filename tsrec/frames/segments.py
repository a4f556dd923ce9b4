"""One long recording cut into a collection of equally long windows."""

from numbers import Integral

import numpy as np
import pandas as pd

from tsrec.frames.checks import check_recording


def windows(recording: pd.DataFrame | pd.Series, length: int, step: int | None = None) -> pd.DataFrame:
    """Cut a recording into windows: a panel with a series per window.

    Parameters
    ----------
    recording : Series or DataFrame
        Rows are time steps.
    length : int
        Rows of each window.
    step : int, optional
        Rows from one window's start to the next; `length` (no overlap) when omitted.

    Returns
    -------
    DataFrame
        Index (window, time); window k begins at row ``k * step``. Rows after the last whole window are left out. The
        attrs of the recording are kept.

    Raises
    ------
    TypeError
        If the recording is an array, or a panel.
    ValueError
        If the recording is shorter than one window or not in order of time, or length or step is not positive.

    Examples
    --------
    >>> windows(pd.Series(range(5), name="x"), 3, 2)["x"].tolist()
    [0, 1, 2, 2, 3, 4]
    """
    check_recording(recording, "recording", "Cut each of its series by itself.")
    if not recording.index.is_monotonic_increasing:
        raise ValueError("recording: its rows are not in order of time. Use sort_index() before it is cut.")
    step = length if step is None else step
    if not all(isinstance(rows, Integral) and rows >= 1 for rows in (length, step)):
        raise ValueError(
            f"length, step: found {length!r} and {step!r}. Both are whole numbers of rows, at least 1: two seconds at "
            "250 Hz are 500."
        )
    if len(recording) < length:
        raise ValueError(
            f"recording: it has {len(recording)} rows, fewer than one window. Give length <= {len(recording)}."
        )
    frame = (
        recording.to_frame("x" if recording.name is None else recording.name)
        if isinstance(recording, pd.Series)
        else recording
    )
    starts = np.arange(0, len(frame) - length + 1, step)
    rows = (starts[:, None] + np.arange(length)).ravel()
    number = np.repeat(np.arange(len(starts)), length)
    cut = frame.iloc[rows]
    # Its rate stays with the recording.
    cut.attrs = dict(recording.attrs)
    cut.index = pd.MultiIndex.from_arrays([number, cut.index], names=["window", frame.index.name])
    return cut
