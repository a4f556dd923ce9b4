"""Recordings whose channels, rates and lengths may differ, in groups that fit into one array each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from tsrec.frames.checks import check_names
from tsrec.frames.collection import _array_numbers, _block, _check_some, _dimensions, _is_listing, _own_index
from tsrec.frames.container import read_index, to_numbers
from tsrec.frames.inference import is_default
from tsrec.frames.panel import label_at, offsets_of
from tsrec.frames.rates import declared_rate, rates_of, seconds_of
from tsrec.frames.warn import warn_user


@dataclass(frozen=True, eq=False)
class RecordingGroup:
    """Recordings with the same channels, in the same order, at the same rate and of the same length.

    The arrays may share memory with what the user gave: read them, never write to them.

    Attributes
    ----------
    numbers : int64 array of shape (n,)
        Which recordings of X these are, ascending.
    values : float64 array of shape (n, n_channels, n_times)
        NaN where missing; no infinities.
    channels : tuple of str
        Names of the channels as given.
    rate : float or None
        Samples per second (Hz); None where nothing tells.
    """

    numbers: np.ndarray
    values: np.ndarray
    channels: tuple[str, ...]
    rate: float | None


@dataclass(frozen=True, eq=False)
class Recordings:
    """A collection of recordings, sorted into groups.

    Attributes
    ----------
    groups : list of RecordingGroup
        In the order of their first recordings.
    labels : Index of length n_series
        Index of answers with one row per recording.
    named : bool
        Whether the labels name the recordings (panel, dict), so that a target can be aligned by name.
    lengths : int64 array of shape (n_series,)
        Time steps of each recording.
    on_scalp : bool
        Whether the channels have names; those of arrays and of default columns (x0, x1, ...) say nothing.
    """

    groups: list[RecordingGroup]
    labels: pd.Index
    named: bool
    lengths: np.ndarray
    on_scalp: bool

    @property
    def n_series(self) -> int:
        """Number of recordings."""
        return len(self.labels)


def recordings_from_rows(values: np.ndarray, labels: pd.Index, ch_names: Sequence[str] | None = None) -> Recordings:
    """Recordings with one channel, from a table with one series a row.

    Parameters
    ----------
    values : float array of shape (n_series, n_times)
        Checked already, as by scikit-learn's ``validate_data``.
    labels : Index of length n_series
        Index of the answers.
    ch_names : sequence of one str, optional
        Name of the channel.

    Returns
    -------
    Recordings

    Examples
    --------
    >>> recordings_from_rows(np.zeros((2, 5)), pd.RangeIndex(2)).groups[0].values.shape
    (2, 1, 5)
    """
    cube = np.asarray(values, dtype=np.float64)[:, None, :]
    names = _nameless(1, ch_names, "X")
    return _equal_recordings(cube, names, labels, named=False, on_scalp=ch_names is not None)


def _equal_recordings(
    cube: np.ndarray,
    channels: tuple[str, ...],
    labels: pd.Index,
    *,
    named: bool,
    on_scalp: bool,
    rate: float | None = None,
) -> Recordings:
    numbers = np.arange(len(cube), dtype=np.int64)
    lengths = np.full(len(cube), cube.shape[2], dtype=np.int64)
    return Recordings([RecordingGroup(numbers, cube, channels, rate)], labels, named, lengths, on_scalp)


def read_recordings(X: Any, *, ch_names: Sequence[str] | None = None, where: str = "X") -> Recordings:
    """Recordings from what users hold: arrays, panels, lists or dicts of frames.

    Parameters
    ----------
    X : array of shape (n_series, n_channels, n_times), panel, list or dict
        A panel is a Series or frame with a MultiIndex, whose last level is time and whose others name the recordings; a
        channel without any value in a recording is absent from it, unless all of its channels are. A list or dict holds
        a frame, a Series or an array of shape (n_times,) or (n_times, n_channels) per recording; columns, which may
        differ, are channels. Rates are those of ``attrs["sfreq"]``, or else of the times in the index: instants,
        durations or float seconds.
    ch_names : sequence of str, optional
        Names of the channels where X has none; names of columns go before.
    where : str
        How errors call the argument.

    Returns
    -------
    Recordings

    Raises
    ------
    TypeError
        If X is of no such kind, or does not hold numbers.
    ValueError
        If there is no recording, no channel or an empty recording, if a value is infinite, if a name occurs twice, or
        if times repeat, gap, are in disorder or disagree with ``attrs["sfreq"]``.

    Examples
    --------
    >>> frames = [pd.DataFrame(np.zeros((8, 2)), np.arange(8) / 4, names) for names in (["Cz", "Pz"], ["C3", "C4"])]
    >>> [(group.channels, group.rate) for group in read_recordings(frames).groups]
    [(('Cz', 'Pz'), 4.0), (('C3', 'C4'), 4.0)]
    """
    if isinstance(X, Mapping):
        return _read_elements(list(X.values()), pd.Index(list(X)), ch_names, named=True, where=where)
    if _is_listing(X):
        return _read_elements(list(X), pd.RangeIndex(len(X)), ch_names, named=False, where=where)
    if isinstance(X, pd.Series | pd.DataFrame):
        if X.index.nlevels > 1:
            return _read_panel(X, ch_names, where)
        raise ValueError(
            f"{where}: it is one recording, but a collection of recordings was expected. Use "
            "tsrec.frames.windows(recording, length, step) to cut it into windows, or [recording] for a collection of "
            "one. The rows of a table, a series each, come as an array (n_series, n_channels, n_times)."
        )
    if _dimensions(X) == 3:
        return _read_cube(X, ch_names, where)
    shape = f" of {_dimensions(X)} dimensions" if hasattr(X, "__array__") else ""
    error = ValueError if hasattr(X, "__array__") else TypeError
    raise error(
        f"{where}: expected an array (n_series, n_channels, n_times), a frame with an index (series, time), or a list "
        f"or dict of frames or arrays (n_times, n_channels); found {type(X).__name__}{shape}. One recording "
        f"(n_channels, n_times) is {where}[None]."
    )


def _read_cube(X: Any, ch_names: Sequence[str] | None, where: str) -> Recordings:
    cube = np.asarray(X)
    _check_some(len(cube), cube.shape[1], where)
    if not cube.shape[2]:
        raise ValueError(f"{where}: its series have 0 rows (shape {cube.shape}). Give at least one time step.")
    values, channels = _array_numbers(cube, where), _nameless(cube.shape[1], ch_names, where)
    return _equal_recordings(
        values, channels, pd.RangeIndex(len(cube)), named=False, on_scalp=ch_names is not None, rate=None
    )


def _nameless(width: int, ch_names: Sequence[str] | None, where: str) -> tuple[str, ...]:
    """Names of channels that have none."""
    if ch_names is None:
        return tuple(f"x{number}" for number in range(width))
    names = (ch_names,) if isinstance(ch_names, str) else tuple(map(str, ch_names))
    twice = sorted({name for name in names if names.count(name) > 1})
    if len(names) != width:
        raise ValueError(
            f"ch_names: found {len(names)} names, but {where} has {width} channels. Give one name for each."
        )
    if twice:
        raise ValueError(f"ch_names: {twice} occur more than once. Give every channel a name of its own.")
    return names


def _channels(element: Any, width: int, ch_names: Sequence[str] | None, where: str) -> tuple[tuple[str, ...], bool]:
    """Names of a recording's channels, and whether they are its own."""
    if isinstance(element, pd.DataFrame):
        check_names(element, where)
        if element.columns.dtype.kind not in "iu":
            names = tuple(map(str, element.columns))
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise ValueError(f"{where}: two of its columns are called {twice!r}. Give each a name of its own.")
            return names, True
        if ch_names is None:
            return tuple(f"x{label}" for label in element.columns), False
    elif isinstance(element, pd.Series) and element.name is not None:
        if not isinstance(element.name, Integral):
            return (str(element.name),), True
        if ch_names is None:
            return (f"x{element.name}",), False
    return _nameless(width, ch_names, where), ch_names is not None


def _read_elements(
    elements: list[Any], labels: pd.Index, ch_names: Sequence[str] | None, *, named: bool, where: str
) -> Recordings:
    _check_some(len(elements), 1, where)
    places = [f"{where}[{label!r}]" for label in labels]
    blocks = [_block(element, place) for element, place in zip(elements, places, strict=True)]
    lengths = np.array([len(block) for block in blocks], dtype=np.int64)
    channels, own = zip(
        *(_channels(e, b.shape[1], ch_names, p) for e, b, p in zip(elements, blocks, places, strict=True)), strict=True
    )
    if len(set(own)) > 1:
        raise ValueError(
            f"{places[own.index(False)]}: its channels have no names, those of {places[own.index(True)]} have. Give "
            "frames with names of channels as columns for all recordings, or for none."
        )
    rates = _element_rates(elements, labels, places, lengths, where)
    kinds: dict[tuple[Any, ...], list[int]] = {}
    for number, key in enumerate(zip(channels, lengths.tolist(), rates, strict=True)):
        kinds.setdefault(key, []).append(number)
    groups = [
        RecordingGroup(np.array(numbers, dtype=np.int64), np.stack([blocks[i].T for i in numbers]), names, rate)
        for (names, _, rate), numbers in kinds.items()
    ]
    return Recordings(groups, labels, named, lengths, own[0])


def _element_rates(
    elements: list[Any], labels: pd.Index, places: list[str], lengths: np.ndarray, where: str
) -> list[float | None]:
    positions, timed, shown = [], [], []
    for element, place, length in zip(elements, places, lengths, strict=True):
        index: pd.Index = pd.RangeIndex(length)
        if isinstance(element, pd.Series | pd.DataFrame):
            index = _own_index(element.index, place, seconds=True)
        place_of, in_time = (
            (np.arange(length, dtype=float), False) if is_default(index) else seconds_of(index, where=place)
        )
        positions.append(place_of)
        timed.append(in_time)
        shown.append(index)
    bounds = offsets_of(lengths)

    def show(row: int) -> Any:
        number = int(np.searchsorted(bounds, row, side="right")) - 1
        return shown[number][row - bounds[number]]

    declared = np.array([declared_rate(element, place) for element, place in zip(elements, places, strict=True)])
    rates = rates_of(
        np.concatenate(positions), bounds, timed=np.array(timed), where=where, show=show, ids=labels, declared=declared
    )
    counting = np.array([index.dtype.kind in "iu" for index in shown])
    _tell_strides(np.concatenate(positions), bounds, counting & np.isnan(rates), labels, where)
    return [None if np.isnan(rate) else rate for rate in rates.tolist()]


def _tell_strides(positions: np.ndarray, bounds: np.ndarray, counting: np.ndarray, ids: pd.Index, where: str) -> None:
    """Warn of whole numbers that hardly count rows, so that a rate seems to be meant that they do not tell."""
    several = np.flatnonzero(counting & (np.diff(bounds) > 1))
    strides = positions[bounds[several] + 1] - positions[bounds[several]]
    wide = np.flatnonzero(strides != 1)
    if len(wide):
        first = label_at(ids, several[wide[0]])
        warn_user(
            f"{where}: the times of {len(wide)} of its {len(ids)} recordings, the first {first!r}, are whole "
            f"numbers {strides[wide[0]]:g} apart, which tell no sampling rate. If they are milliseconds, divide the "
            "index by 1000; or state the rate with attrs['sfreq']."
        )


def _read_panel(X: pd.Series | pd.DataFrame, ch_names: Sequence[str] | None, where: str) -> Recordings:
    _check_some(len(X), X.shape[1] if X.ndim == 2 else 1, where)
    values = to_numbers(X, where=where)
    channels, on_scalp = _channels(X, values.shape[1], ch_names, where)
    rows = read_index(X.index, where=where, seconds=True)
    assert rows.ids is not None
    assert rows.codes is not None
    values = values if rows.order is None else values[rows.order]
    bounds, codes, lengths = rows.offsets, rows.codes, np.diff(rows.offsets)
    distinct, timed = seconds_of(rows.times, where=where, level=True)
    rates = rates_of(
        distinct[codes],
        bounds,
        timed=np.full(len(lengths), timed),
        where=where,
        show=lambda row: rows.times[codes[row]],
        ids=rows.ids,
        declared=np.full(len(lengths), declared_rate(X, where)),
    )
    counting = np.isnan(rates) & (rows.times.dtype.kind in "iu")
    _tell_strides(distinct[codes], bounds, counting, rows.ids, where)
    groups = _panel_groups(values, bounds, channels, rates)
    return Recordings(groups, rows.ids, True, lengths, on_scalp)


def _panel_groups(
    values: np.ndarray, bounds: np.ndarray, channels: tuple[str, ...], rates: np.ndarray
) -> list[RecordingGroup]:
    lengths = np.diff(bounds)
    missing = np.isnan(values)
    absent = np.zeros((len(lengths), len(channels)), dtype=bool)
    if missing.any():
        absent = np.logical_and.reduceat(missing, bounds[:-1], axis=0)
        # A recording without any value keeps its channels, so that it still is one.
        absent[absent.all(axis=1)] = False
    kinds = np.c_[absent, lengths, pd.factorize(rates)[0]]
    if (kinds == kinds[0]).all():
        cut = [np.arange(len(lengths), dtype=np.int64)]
    else:
        order = np.unique(kinds, axis=0, return_inverse=True)[1].ravel()
        cut = [np.flatnonzero(order == kind) for kind in range(order.max() + 1)]
    groups = []
    for numbers in sorted(cut, key=lambda numbers: int(numbers[0])):
        first = numbers[0]
        kept, length = np.flatnonzero(~absent[first]), int(lengths[first])
        if len(cut) == 1:
            block = values.reshape(len(lengths), length, len(channels))
        else:
            block = values[bounds[numbers][:, None] + np.arange(length)]
        block = block if len(kept) == len(channels) else block[:, :, kept]
        rate = None if np.isnan(rates[first]) else float(rates[first])
        names = tuple(channels[place] for place in kept)
        groups.append(RecordingGroup(numbers, block.transpose(0, 2, 1), names, rate))
    return groups
