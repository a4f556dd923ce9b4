"""Recordings with any channels, for estimators: read, filtered, brought to one rate, their electrodes found."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, validate_data

from tsrec.estimators._callbacks import CallbackSupportMixin
from tsrec.estimators._collection import check_table, forget, row_labels, takes_series, tell_shape, tell_silent
from tsrec.estimators._recording_batches import Prepared
from tsrec.frames import (
    RecordingGroup,
    Recordings,
    band_pass_array,
    canonical_name,
    electrode_positions,
    is_rows,
    notch_array,
    on_unit_sphere,
    read_recordings,
    recordings_from_rows,
    refuse_mne,
    resample_array,
    unknown_electrodes,
)
from tsrec.frames.warn import warn_user

NORMALISATIONS = ("auto", "zscore", "iqr", "running", "shared", "channel", None)
# Beyond it squares leave single precision.
_LARGEST = 1e12
# Recordings are not brought to more than so many times as many samples.
_MOST_TIMES = 16
# So many times more rows than columns: rather samples than recordings.
_MANY_TIMES = 100
# Rates that differ by less are the same.
_SAME_RATE = 1e-4


class RecordingEstimator(CallbackSupportMixin, BaseEstimator):
    """Base of estimators whose samples are recordings; see :class:`tsrec.LuMambaEncoder` for the parameters."""

    sfreq: float
    sfreq_: float
    band: Any
    notch: float | None
    positions: Any
    position_norm: str
    drop_unknown: bool
    ch_names: Any
    normalisation: str | None
    normalisation_: str | None
    channel_names_in_: list[str]
    on_scalp_: bool
    positions_: Any
    center_: np.ndarray
    spread_: np.ndarray

    def __sklearn_tags__(self) -> Tags:
        """Missing values are legal, and so are arrays (recording, channel, time)."""
        return takes_series(super().__sklearn_tags__())

    def _read_fit(self, X: Any, owner: Any) -> Recordings:
        """Read what is learned from, on behalf of the estimator that the user has in hand; forget an earlier fit."""
        forget(self)
        refuse_mne(X, "X")
        self.sfreq_ = float(self.sfreq)
        self.positions_ = self._own_positions()
        self.reads_rows_ = is_rows(X)
        if self.reads_rows_:
            self._check_rows(X)
            values = validate_data(owner, X, dtype=np.float64, ensure_all_finite="allow-nan")
            recordings = self._rows_of(values, X)
        else:
            recordings = read_recordings(X, ch_names=self.ch_names)
            if self.ch_names is None:
                # As many names as channels say by themselves which axis is which.
                tell_shape(X, "recording")
            owner.n_features_in_ = max(len(group.channels) for group in recordings.groups)
        self.on_scalp_ = recordings.on_scalp and not _is_none(self.positions)
        self.normalisation_ = self.normalisation
        if self.normalisation == "auto":
            self.normalisation_ = "zscore" if self.on_scalp_ else "channel"
        recordings = self._in_use(recordings)
        found = [self._standard(group.channels) for group in recordings.groups]
        self.channel_names_in_ = list(dict.fromkeys(name for names in found for name in names))
        return self._brought(recordings)

    def _read(self, X: Any, owner: Any) -> Recordings:
        """Read what is asked about: any electrodes, but on no scalp the channels of fit."""
        refuse_mne(X, "X")
        if is_rows(X):
            self._check_rows(X)
            if self.reads_rows_ and hasattr(owner, "n_features_in_"):
                values = validate_data(owner, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
            else:
                values = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")
            recordings = self._rows_of(values, X)
        else:
            recordings = read_recordings(X, ch_names=self.ch_names)
        if recordings.on_scalp and not _is_none(self.positions) and not self.on_scalp_:
            raise ValueError(
                "X: its channels have names, those of fit had none. Give arrays as in fit, or fit on frames, or on "
                "arrays with ch_names=."
            )
        if self.on_scalp_ and not recordings.on_scalp:
            raise ValueError(
                f"X: its channels have no names, those of fit had: {self.channel_names_in_}. Give frames with names of "
                "electrodes as columns, or fit with ch_names=, which then names the channels of arrays."
            )
        recordings = self._in_use(recordings)
        for group in recordings.groups:
            self._check_known(group.channels, "X")
        return self._brought(recordings)

    def _rows_of(self, values: np.ndarray, X: Any) -> Recordings:
        """The recordings of a table that has been checked."""
        rows, samples = values.shape
        if rows > _MANY_TIMES * samples:
            warn_user(
                f"X of shape {values.shape} was read as {rows} recordings of {samples} samples. One recording "
                "(n_times, n_channels) is X.T[None]."
            )
        return recordings_from_rows(values, row_labels(X), self.ch_names)

    def _check_rows(self, X: Any) -> None:
        """Refuse a table that is none."""
        check_table(X)
        names = self.ch_names
        if names is not None and not isinstance(names, str) and len(list(names)) > 1:
            raise ValueError(
                f"X: an array of two dimensions holds recordings of one channel, a row each, but ch_names has "
                f"{len(list(names))} names. One recording (n_channels, n_times) is X[None]."
            )

    def _in_use(self, recordings: Recordings) -> Recordings:
        """The recordings with the channels in use, of which a warning tells those that are not."""
        groups, dropped = [], set[str]()
        for group in recordings.groups:
            kept = self._kept(group.channels)
            if len(kept) < len(group.channels):
                names = tuple(group.channels[i] for i in kept)
                dropped |= set(group.channels) - set(names)
                groups.append(replace(group, values=group.values[:, kept], channels=names))
            else:
                groups.append(group)
        if dropped:
            warn_user(f"X: channels {sorted(dropped)} are no known electrodes and were left out.")
        observed = np.empty(recordings.n_series, dtype=bool)
        for group in groups:
            observed[group.numbers] = ~np.isnan(group.values).all((1, 2))
        tell_silent(recordings.labels, observed, "recordings")
        return replace(recordings, groups=groups)

    def _brought(self, recordings: Recordings) -> Recordings:
        """The recordings filtered and at the rate of the model; their lengths stay those of X, for targets."""
        for group in recordings.groups:
            # Unknown electrodes are refused before filters take their time.
            self._points(group.channels)
        groups = [replace(group, values=self._signals(group), rate=self.sfreq_) for group in recordings.groups]
        return replace(recordings, groups=groups)

    def _check_known(self, channels: tuple[str, ...], where: str) -> None:
        """Refuse channels in use that were not there in fit, where that matters."""
        if self.on_scalp_ and self.normalisation_ != "channel":
            return
        new = [name for name in self._standard(channels) if name not in self.channel_names_in_]
        if new:
            raise ValueError(
                f"{where}: channels {new} were not there in fit, which had {self.channel_names_in_}. Channels on no "
                "scalp, and units by channel, must be those of fit; give these, or fit again."
            )

    def _standard(self, channels: tuple[str, ...]) -> list[str]:
        """Standard names of channels in use."""
        return [canonical_name(name) for name in channels] if self.on_scalp_ else list(channels)

    def _kept(self, channels: tuple[str, ...]) -> list[int]:
        """Which channels are in use."""
        if not (self.on_scalp_ and self.drop_unknown):
            return list(range(len(channels)))
        unknown = set(unknown_electrodes(channels, self.positions_))
        kept = [i for i, name in enumerate(channels) if name not in unknown]
        if not kept:
            raise ValueError(f"X: none of the channels {list(channels)} is a known electrode. Give positions=.")
        return kept

    def _own_positions(self) -> Any:
        """The user's positions, on the unit sphere where the head is what they are measured by."""
        if self.positions is None or _is_none(self.positions) or self.position_norm != "head":
            return None if _is_none(self.positions) else self.positions
        points = electrode_positions(self.positions, self.positions, where="positions")
        try:
            points = on_unit_sphere(points)
        except ValueError as error:
            raise ValueError(f"positions: {error} Or take position_norm='montage', which needs no head.") from error
        return dict(zip(self.positions, points, strict=True))

    def _measure(self, recordings: Recordings) -> None:
        """Units that come from fit: by channel over all samples, or one size for all channels."""
        n = len(self.channel_names_in_)
        self.center_, self.spread_ = np.zeros(n), np.ones(n)
        if self.normalisation_ == "shared":
            self.spread_[:] = _typical_size([group.values for group in recordings.groups])
        if self.normalisation_ != "channel":
            return
        parts = []
        for group in recordings.groups:
            at = np.array([self.channel_names_in_.index(name) for name in self._standard(group.channels)])
            parts.append((at, group.values))
        count, total, square = np.zeros(n), np.zeros(n), np.zeros(n)
        for at, values in parts:
            count[at] += (~np.isnan(values)).sum((0, 2))
            total[at] += np.nansum(values, (0, 2))
        self.center_ = total / np.maximum(count, 1)
        for at, values in parts:
            square[at] += np.nansum((values - self.center_[at][:, None]) ** 2, (0, 2))
        spread = np.sqrt(square / np.maximum(count, 1))
        self.spread_ = np.where(spread > 1e-12 * np.abs(self.center_), spread, 1.0)

    def _signals(self, group: RecordingGroup) -> np.ndarray:
        """Values (n, C, T), filtered and at the rate of the model."""
        values, rate = group.values, self.sfreq_ if group.rate is None else group.rate
        if self.sfreq_ > _MOST_TIMES * rate:
            raise ValueError(
                f"X: by their times, recordings have {rate:.4g} samples in a second, but sfreq={self.sfreq_:.4g}. Is "
                "the index in milliseconds? It counts in seconds: divide it by 1000. Or choose a lower sfreq."
            )
        if self.band is not None:
            values = band_pass_array(values, rate, *self.band)
        if self.notch is not None:
            values = notch_array(values, rate, self.notch)
        if abs(rate / self.sfreq_ - 1) > _SAME_RATE:
            values = resample_array(values, rate, self.sfreq_)
        return values

    def _prepare(self, recordings: Recordings) -> list[Prepared]:
        """Bring recordings into the form that the module takes."""
        known = {name: number for number, name in enumerate(self.channel_names_in_, 1)}
        prepared = []
        for group in recordings.groups:
            names = self._standard(group.channels)
            values = group.values.transpose(0, 2, 1)
            level, size = self._units(values, names)
            with np.errstate(over="ignore", invalid="ignore"):
                values = np.clip((values - level) / size, -_LARGEST, _LARGEST)
            prepared.append(
                Prepared(
                    numbers=group.numbers,
                    values=torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)),
                    points=torch.from_numpy(self._points(group.channels)).float(),
                    names=torch.tensor([known.get(name, 0) for name in names]),
                    channels=group.channels,
                    level=level,
                    size=size,
                )
            )
        return prepared

    def _units(self, values: np.ndarray, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """What is taken off (n, 1, C) and divided by (1, 1, C) before the module sees values (n, T, C)."""
        one = np.ones((1, 1, values.shape[2]))
        if self.normalisation_ == "channel":
            at = [self.channel_names_in_.index(name) for name in names]
            return self.center_[at] * np.ones((len(values), 1, 1)), self.spread_[at] * one
        if self.normalisation_ is None:
            return np.zeros((len(values), 1, values.shape[2])), one
        if self.normalisation_ == "running":
            return first_values(values), one
        # Units of a recording do not depend on its level, but single precision does: some recorders add thousands.
        count = np.maximum((~np.isnan(values)).sum(1, keepdims=True), 1)
        level = np.nansum(values, 1, keepdims=True) / count
        return level, self.spread_[0] * one if self.normalisation_ == "shared" else one

    def _points(self, channels: tuple[str, ...]) -> np.ndarray:
        if not self.on_scalp_:
            return np.full((len(channels), 3), np.nan)
        return electrode_positions(channels, self.positions_)


def first_values(values: np.ndarray) -> np.ndarray:
    """The first value of each channel of (n, T, C) that is there, (n, 1, C); 0 where none is."""
    seen = ~np.isnan(values)
    found = np.take_along_axis(values, seen.argmax(1)[:, None], 1)
    return np.where(seen.any(1, keepdims=True), found, 0.0)


def _typical_size(parts: list[np.ndarray]) -> float:
    """Median standard deviation of the channels of recordings (n, C, T) that change at all; 1 if none does."""
    sizes = []
    for values in parts:
        count = np.maximum((~np.isnan(values)).sum(2), 1)
        level = np.nansum(values, 2) / count
        sizes.append(np.sqrt(np.nansum((values - level[..., None]) ** 2, 2) / count).ravel())
    found = np.concatenate(sizes)
    found = found[found > 1e-9]
    return float(np.median(found)) if len(found) else 1.0


def _is_none(positions: Any) -> bool:
    return isinstance(positions, str) and positions == "none"


def named_frame(recordings: Recordings, values: np.ndarray, columns: Any) -> Any:
    """Answers, a row per recording: a frame where X names the recordings, else the array itself."""
    return pd.DataFrame(values, index=recordings.labels, columns=columns) if recordings.named else values
