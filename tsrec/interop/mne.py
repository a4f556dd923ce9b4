"""Recordings of MNE-Python as frames in microvolts, and labels of windows as annotations."""

from collections.abc import Collection, Hashable
from os import PathLike
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tsrec.frames.warn import warn_user

if TYPE_CHECKING:
    import mne

__all__ = ["annotate", "montage_positions", "read_edf", "to_annotations", "to_frames"]

# MNE keeps these in volts; of them all, EEG software shows microvolts.
_VOLTS = {"eeg", "eog", "ecg", "emg", "bio", "seeg", "ecog", "dbs"}


def _mne() -> ModuleType:
    try:
        import mne
    except ImportError as error:
        raise ImportError("MNE-Python is needed here. Install it with: pip install 'tsrec[eeg]'") from error
    return mne


def to_frames(data: Any, *, picks: Any = "eeg", reject_by_annotation: str | None = None) -> Any:
    """Recordings of MNE-Python as frames.

    Parameters
    ----------
    data : Raw, Epochs, Evoked, or a list of Raws and Epochs
        The recordings.
    picks : str, list of str or list of int
        Channels or types of channels, as MNE takes them; types leave out channels marked as bad.
    reject_by_annotation : "NaN", optional
        With ``"NaN"``, spans of a Raw that an annotation calls bad are missing values.

    Returns
    -------
    DataFrame or list of DataFrame
        A column per channel, those measured in volts in microvolts, and ``attrs["sfreq"]``. The index of a Raw, "time",
        holds the seconds since its first sample; that of Epochs is (epoch, time), with the numbers of the epochs among
        the events and times relative to them. A list gives a list with a frame per Raw and per epoch.

    Raises
    ------
    ImportError
        If MNE-Python is not installed.
    TypeError
        If the data are none of these.
    ValueError
        If there is no such channel.

    Examples
    --------
    >>> import mne
    >>> info = mne.create_info(["Cz", "Pz"], 4.0, "eeg")
    >>> to_frames(mne.io.RawArray(np.full((2, 3), 5e-6), info, verbose="error"))
           Cz   Pz
    time
    0.00  5.0  5.0
    0.25  5.0  5.0
    0.50  5.0  5.0
    """
    mne = _mne()
    if isinstance(data, list | tuple):
        frames: list[pd.DataFrame] = []
        for element in data:
            frame = to_frames(element, picks=picks, reject_by_annotation=reject_by_annotation)
            frames += _parts(frame) if frame.index.nlevels > 1 else [frame]
        return frames
    if not isinstance(data, mne.io.BaseRaw | mne.BaseEpochs | mne.Evoked):
        raise TypeError(f"data: expected a Raw, Epochs or Evoked, or a list of them, found {type(data).__name__}.")
    if reject_by_annotation not in (None, "NaN"):
        raise ValueError(
            f"reject_by_annotation: found {reject_by_annotation!r}. Give 'NaN' for missing values in bad spans, or "
            "None; spans cannot be left out, because what is before and after them does not follow on."
        )
    names = _picked(data.info, picks)
    scale = np.array([1e6 if kind in _VOLTS else 1.0 for kind in data.get_channel_types(picks=names)])[:, None]
    if isinstance(data, mne.io.BaseRaw):
        values = data.get_data(picks=names, reject_by_annotation=reject_by_annotation, verbose="error") * scale
    else:
        values = data.get_data(picks=names) * scale
    frame = pd.DataFrame(np.moveaxis(values, -2, -1).reshape(-1, len(names)), _index(data, values.shape), names)
    frame.attrs["sfreq"] = float(data.info["sfreq"])
    return frame


def _picked(info: "mne.Info", picks: Any) -> list[str]:
    """Names of the chosen channels: types in the order of the recording, names as given."""
    mne = _mne()
    # One sample that has these channels: MNE resolves picks for recordings only.
    sample = mne.io.RawArray(np.zeros((len(info["ch_names"]), 1)), info, verbose="error")
    kinds = sorted(set(sample.get_channel_types()))
    try:
        return list(sample.pick(picks, exclude="bads").ch_names)
    except ValueError as error:
        raise ValueError(
            f"picks: {picks!r} chooses no channel. The recording has channels of the types {kinds}, bad ones are "
            f"{info['bads']}. Name channels in picks, or set their types: raw.set_channel_types({{name: 'eeg'}})."
        ) from error


def _index(data: Any, shape: tuple[int, ...]) -> pd.Index:
    times = pd.Index(np.asarray(data.times, dtype=np.float64), name="time")
    if len(shape) == 2:
        return times
    epochs, length = shape[0], shape[2]
    numbers = pd.Index(data.selection)
    # Concatenated epochs may repeat numbers; as names of series they must not.
    numbers = numbers if numbers.is_unique else pd.RangeIndex(epochs)
    codes = [np.repeat(np.arange(epochs), length), np.tile(np.arange(length), epochs)]
    return pd.MultiIndex(levels=[numbers, times], codes=codes, names=["epoch", "time"])


def _parts(panel: pd.DataFrame) -> list[pd.DataFrame]:
    parts = []
    for _, part in panel.groupby(level=0, sort=False):
        parts.append(part.droplevel(0))
        parts[-1].attrs = dict(panel.attrs)
    return parts


def read_edf(path: str | PathLike[str], *, picks: Any = "eeg", **options: Any) -> pd.DataFrame:
    """A recording in European Data Format as a frame.

    Parameters
    ----------
    path : str or path
        The file.
    picks : str, list of str or list of int
        Channels or types of channels, as MNE takes them; in EDF all channels are "eeg" unless told otherwise, for
        example with ``exclude=["ECG"]`` or ``eog=["EOG"]`` among the options.
    **options : dict
        Handed to ``mne.io.read_raw_edf``.

    Returns
    -------
    DataFrame
        As `to_frames` gives it: seconds, microvolts, ``attrs["sfreq"]``.

    Raises
    ------
    ImportError
        If MNE-Python is not installed.

    Examples
    --------
    >>> recording = read_edf("sleep.edf", eog=["EOG"])  # doctest: +SKIP
    """
    raw = _mne().io.read_raw_edf(path, **{"preload": True, "verbose": "error", **options})
    return to_frames(raw, picks=picks)


def montage_positions(data: Any) -> dict[str, tuple[float, float, float]]:
    """Positions of the electrodes of a recording, for the `positions` of estimators and of `electrode_positions`.

    Parameters
    ----------
    data : Raw, Epochs, Evoked, Info or DigMontage
        What has a montage.

    Returns
    -------
    dict of name to (x, y, z)
        In metres as a rule: x to the right, y to the nose, z up. Electrodes without a position are left out.

    Raises
    ------
    ValueError
        If there is no montage, or it has no position.

    Examples
    --------
    >>> import mne
    >>> info = mne.create_info(["Cz", "Pz"], 4.0, "eeg").set_montage("spherical_1005")
    >>> sorted(montage_positions(info))
    ['Cz', 'Pz']
    """
    montage = data if hasattr(data, "get_positions") else data.get_montage()
    found = {} if montage is None else montage.get_positions()["ch_pos"]
    positions = {
        str(name): (float(x), float(y), float(z)) for name, (x, y, z) in found.items() if np.isfinite([x, y, z]).all()
    }
    if not positions:
        raise ValueError(
            "data: it has no positions of electrodes. Set a montage, for example raw.set_montage('fsaverage_1005'), or "
            "leave positions out to take the places of the 10-5 system by name."
        )
    return positions


def to_annotations(
    labels: Any,
    *,
    window: float,
    step: float | None = None,
    first: float = 0.0,
    merge: bool = True,
    ignore: Collection[Hashable] = (),
) -> "mne.Annotations":
    """Labels of the windows of a recording as annotations.

    Parameters
    ----------
    labels : array-like of shape (n_windows,)
        What a classifier says of each window; window k begins at ``first + k * step``. A Series with whole numbers as
        its index says itself which windows it is of (as epochs do, some of which were dropped); else they are counted
        in their order. Windows with a missing label get no annotation.
    window : float
        Seconds of each window.
    step : float, optional
        Seconds from one window's start to the next; `window` (no overlap) when omitted.
    first : float
        Seconds from the first sample of the recording to the first window.
    merge : bool
        Whether windows in a row with one label share an annotation, from the start of the first to the end of the last.
        Where windows overlap, so do the annotations of different labels, by ``window - step``. Windows with gaps
        between them are never merged, as nothing was said of the gaps.
    ignore : collection
        Labels without annotations, such as that of the normal state.

    Returns
    -------
    mne.Annotations
        With the labels as descriptions, relative to the first sample (``orig_time`` None).

    Raises
    ------
    ImportError
        If MNE-Python is not installed.
    ValueError
        If labels have more than one dimension, or window or step is not positive.

    Examples
    --------
    >>> found = to_annotations(["wake", "wake", "sleep"], window=30)
    >>> found.onset.tolist(), found.duration.tolist(), found.description.tolist()
    ([0.0, 60.0], [60.0, 30.0], ['wake', 'sleep'])
    """
    mne = _mne()
    step = window if step is None else step
    if not (0 < window < np.inf and 0 < step < np.inf):
        raise ValueError(f"window, step: found {window} and {step}. Both must be positive, in seconds.")
    if getattr(labels, "ndim", 1) != 1:
        raise ValueError(
            f"labels: found {labels.ndim} dimensions (shape {labels.shape}). Give one label per window, as predict "
            "does."
        )
    touching = merge and step <= window * (1 + 1e-9)
    runs: list[list[int]] = []
    said: list[Any] = []
    for number, label in _numbered(labels):
        if pd.isna(label) or label in ignore:
            continue
        if touching and runs and runs[-1][1] == number - 1 and said[-1] == label:
            runs[-1][1] = number
        else:
            runs.append([number, number])
            said.append(label)
    starts, ends = np.array(runs, dtype=np.int64).reshape(-1, 2).T
    onsets, durations = first + starts * step, (ends - starts) * step + window
    return mne.Annotations(onsets, durations, [str(label) for label in said])


def _numbered(labels: Any) -> list[tuple[int, Any]]:
    """Labels with the numbers of their windows, in the order of these."""
    if not (isinstance(labels, pd.Series) and pd.api.types.is_integer_dtype(labels.index)):
        return list(enumerate(labels))
    if labels.index.has_duplicates:
        twice = labels.index[labels.index.duplicated()][0]
        raise ValueError(f"labels: its index names window {twice} twice. Give one label per window.")
    return [(int(number), label) for number, label in labels.sort_index().items()]


def annotate(
    raw: "mne.io.BaseRaw",
    labels: Any,
    *,
    window: float,
    step: float | None = None,
    first: float = 0.0,
    merge: bool = True,
    ignore: Collection[Hashable] = (),
) -> "mne.io.BaseRaw":
    """A copy of a recording with labels of its windows as annotations, beside those it has.

    Parameters
    ----------
    raw : Raw
        The recording.
    labels : array-like of shape (n_windows,)
        What a classifier says of each window, in their order.
    window, step, first : float
        Seconds of each window, from one to the next, and before the first one.
    merge : bool
        Whether windows in a row with one label share an annotation; see `to_annotations`.
    ignore : collection
        Labels without annotations.

    Returns
    -------
    Raw

    Raises
    ------
    ImportError
        If MNE-Python is not installed.
    TypeError
        If it is no Raw.
    ValueError
        As `to_annotations`, and if the last window begins after the end of the recording.

    Warns
    -----
    UserWarning
        If labels that are counted in their order end before the recording does: windows may have been left out.

    Examples
    --------
    >>> import mne
    >>> raw = mne.io.RawArray(np.zeros((1, 40)), mne.create_info(["Cz"], 4.0, "eeg"), verbose="error")
    >>> annotate(raw, ["rest", "move"], window=5).annotations.description.tolist()
    ['rest', 'move']
    """
    if not hasattr(raw, "n_times"):
        raise TypeError(f"raw: expected a Raw of MNE, found {type(raw).__name__}. See also to_annotations.")
    found = to_annotations(labels, window=window, step=step, first=first, merge=merge, ignore=ignore)
    _check_fit(labels, raw.n_times / raw.info["sfreq"], window, window if step is None else step, first)
    # A last window may reach over the end by rounding, or because it was padded: MNE cuts it there, and would warn.
    copy = raw.copy().set_annotations(found, verbose="error")
    if len(raw.annotations):
        both = raw.annotations + copy.annotations
        if both.orig_time is None:
            # Set annotations count from the start of the measurement, to be set ones from the first sample.
            both.onset -= raw.first_time
        copy.set_annotations(both, verbose="error")
    return copy


def _check_fit(labels: Any, end: float, window: float, step: float, first: float) -> None:
    """Refuse windows that begin after the end of a recording, in seconds; warn of too few."""
    numbers = [number for number, _ in _numbered(labels)]
    begin, last = (first + number * step for number in (min(numbers, default=0), max(numbers, default=0)))
    if begin < 0 or last >= end:
        raise ValueError(
            f"labels: the windows of {len(labels)} labels begin from {begin:g} to {last:g} s, but the recording lasts "
            f"{end:g} s. Give window, step and first in seconds, as the recording was cut."
        )
    fitting = int((end - first - window) / step + 1 + 1e-6)
    if len(numbers) < fitting and not isinstance(labels, pd.Series):
        warn_user(
            f"labels: {len(numbers)} labels, but {fitting} windows of {window:g} s fit into the recording; the last "
            "get no annotation. If windows were left out, give a Series whose index are the numbers of those there are."
        )
