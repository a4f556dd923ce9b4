"""What channels are measured against: differences of pairs, of neighbours, or from the mean of all."""

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames.checks import check_names, refuse_mne
from tsrec.frames.container import to_numbers
from tsrec.frames.electrodes import (
    TCP_PAIRS,
    as_pair,
    canonical_name,
    check_once,
    electrode_positions,
    unknown_electrodes,
)

# Distances that differ by less are equal: mirrored electrodes.
_SAME_PLACE = 1e-6


def bipolar(recording: pd.DataFrame, pairs: Iterable[tuple[str, str] | str] = TCP_PAIRS) -> pd.DataFrame:
    """Differences between electrodes: a bipolar montage made from channels with a common reference.

    Parameters
    ----------
    recording : DataFrame
        Columns are electrodes, in any of the spellings of `canonical_name`; rows are time steps, also of a panel.
    pairs : iterable of pairs or of "A-B"
        Each gives the column "A-B" with the values A - B. By default the 22 of the clinical standard (`TCP_PAIRS`).

    Returns
    -------
    DataFrame
        With the index and attrs of the recording.

    Raises
    ------
    TypeError
        If the recording is no frame.
    ValueError
        If electrodes are missing, all of which are listed, or occur twice.

    Examples
    --------
    >>> bipolar(pd.DataFrame({"EEG FP1-REF": [3.0], "EEG F7-REF": [1.0]}), ["Fp1-F7"])
       Fp1-F7
    0     2.0
    """
    _check_frame(recording)
    wanted = [tuple(map(canonical_name, as_pair(pair) or [pair] if isinstance(pair, str) else pair)) for pair in pairs]
    if any(len(pair) != 2 for pair in wanted):
        raise ValueError("pairs: each must name two electrodes, such as ('Fp1', 'F7') or 'Fp1-F7'.")
    columns = [canonical_name(name) for name in recording.columns]
    used = {name for pair in wanted for name in pair}
    kept = [place for place, name in enumerate(columns) if name in used]
    check_once(recording.columns[kept], [columns[place] for place in kept], "recording")
    missing = [name for name in dict.fromkeys(name for pair in wanted for name in pair) if name not in columns]
    if missing:
        possible = sum(all(name in columns for name in pair) for pair in wanted)
        raise ValueError(
            f"recording: it lacks the electrodes {', '.join(missing)}; {possible} of the {len(wanted)} pairs can be "
            f"made. Its columns are {list(recording.columns)}. Add them, or give only the pairs it has, for example "
            "pairs=TCP_PAIRS[:20] without the ear lobes."
        )
    values = to_numbers(recording.iloc[:, kept], where="recording")
    place = {columns[column]: position for position, column in enumerate(kept)}
    plus, minus = ([place[pair[side]] for pair in wanted] for side in (0, 1))
    return _like(recording, values[:, plus] - values[:, minus], ["-".join(pair) for pair in wanted])


def average_reference(recording: pd.DataFrame) -> pd.DataFrame:
    """Channels without the mean of all of them, moment by moment.

    Parameters
    ----------
    recording : DataFrame
        Columns are channels with a common reference; rows are time steps, also of a panel.

    Returns
    -------
    DataFrame
        With the index, columns and attrs of the recording. The mean is that of the channels that have a value.

    Raises
    ------
    TypeError
        If the recording is no frame.
    ValueError
        If a name occurs twice, some columns are electrodes and others not, channels are differences already, or there
        are fewer than two.

    Examples
    --------
    >>> average_reference(pd.DataFrame({"C3": [3.0], "C4": [1.0]}))
        C3   C4
    0  1.0 -1.0
    """
    values = _several(recording)
    other = unknown_electrodes(recording.columns)
    # All unknown: channels of something else, which may be averaged too.
    if 0 < len(other) < recording.shape[1]:
        raise ValueError(
            f"recording: columns {other} are no known electrodes, the others are. Leave them out, for example with "
            "drop(columns=...); times belong into the index: set_index(...)."
        )
    return _like(recording, values - _mean_of(values, np.ones((1, values.shape[1]), dtype=bool)))


def laplacian(
    recording: pd.DataFrame, n_neighbours: int = 4, *, positions: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """Channels without the mean of their neighbours on the head: what is local stays, what all share goes.

    Electrodes far apart record much the same, as the skull blurs; differences of neighbours tell places apart, for
    example which hand moves.

    Parameters
    ----------
    recording : DataFrame
        Columns are electrodes with a common reference, in any of the spellings of `canonical_name`; rows are time
        steps, also of a panel.
    n_neighbours : int
        How many of the nearest electrodes; also those that are as near as the last of them.
    positions : mapping of name to (x, y, z), optional
        As for `electrode_positions`.

    Returns
    -------
    DataFrame
        With the index, columns and attrs of the recording. The mean is that of the neighbours that have a value.

    Raises
    ------
    TypeError
        If the recording is no frame.
    ValueError
        If electrodes are unknown, differences already or occur twice, or if there are not more of them than neighbours.

    References
    ----------
    Hjorth (1975), An on-line transformation of EEG scalp potentials into orthogonal source derivations,
    Electroencephalography and Clinical Neurophysiology 39.

    Examples
    --------
    >>> laplacian(pd.DataFrame({"C3": [3.0], "C1": [1.0], "Cz": [2.0]}), 1)
        C3   C1   Cz
    0  2.0 -1.5  1.0
    """
    values = _several(recording)
    count = values.shape[1]
    if isinstance(n_neighbours, bool) or not isinstance(n_neighbours, Integral) or not 1 <= n_neighbours < count:
        raise ValueError(
            f"n_neighbours: found {n_neighbours!r}, for {count} channels. Give a whole number from 1 to {count - 1}."
        )
    points = electrode_positions(recording.columns, positions, where="recording")
    gaps = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(gaps, np.inf)
    farthest = np.sort(gaps, axis=1)[:, [n_neighbours - 1]]
    return _like(recording, values - _mean_of(values, gaps <= farthest + _SAME_PLACE))


def _several(recording: Any) -> np.ndarray:
    """Values (n_rows, n_channels) of a frame with two channels or more."""
    _check_frame(recording)
    check_names(recording, "recording")
    if recording.shape[1] < 2:
        raise ValueError(f"recording: found {recording.shape[1]} channel. Differences need two or more.")
    pairs = [name for name in recording.columns if as_pair(canonical_name(name))]
    if pairs:
        raise ValueError(f"recording: {pairs} are differences already. Give channels with a common reference.")
    return to_numbers(recording, where="recording")


def _check_frame(recording: Any) -> None:
    refuse_mne(recording, "recording")
    if not isinstance(recording, pd.DataFrame):
        raise TypeError(f"recording: expected a frame with a column per electrode, found {type(recording).__name__}.")


def _mean_of(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Means (n_rows, n_groups) over the columns of groups, bool (n_groups, n_columns), of those that have a value."""
    seen, weights = ~np.isnan(values), among.T.astype(np.float64)
    total, count = np.where(seen, values, 0.0) @ weights, seen @ weights
    # Without any neighbour there is no difference.
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _like(recording: pd.DataFrame, values: np.ndarray, columns: Any = None) -> pd.DataFrame:
    """Values with the index and attrs of a recording, and its columns unless others are given."""
    answer = pd.DataFrame(values, index=recording.index, columns=recording.columns if columns is None else columns)
    answer.attrs = dict(recording.attrs)
    return answer
