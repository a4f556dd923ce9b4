"""Tokens of a recording as it comes in, in constant time and memory for each patch."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from tsrec.estimators._recordings import first_values
from tsrec.frames import sampling_rate, to_numbers
from tsrec.training import single_thread


class TokenStream:
    """One recording that is being made, and the tokens of its patches so far.

    Made by ``encoder.stream(channels)``; the weights are the encoder's, the state is the stream's own.

    Parameters
    ----------
    encoder : fitted LuMambaEncoder
        Gives the tokens.
    channels : sequence of str
        Names of the channels, in the order of the rows.

    Raises
    ------
    ValueError
        If tokens depend on what comes later.
    """

    def __init__(self, encoder: Any, channels: Any) -> None:
        inner = encoder.module_.encoder
        whole = encoder.normalisation_ == "shared"
        if whole or not inner.causal or encoder.band is not None or encoder.notch is not None:
            raise ValueError(
                "stream: tokens of this encoder depend on what comes later. Fit with bidirectional=False, "
                "norm='patch', normalisation='running' (or 'channel', or None), and without band and notch."
            )
        names = [channels] if isinstance(channels, str) else channels
        self._encoder, self._channels = encoder, tuple(str(name) for name in names)
        self._kept = encoder._kept(self._channels)
        used = tuple(self._channels[i] for i in self._kept)
        encoder._check_known(used, "channels")
        known = {name: number for number, name in enumerate(encoder.channel_names_in_, 1)}
        names = encoder._standard(used)
        device = inner.hidden.device
        self._points = torch.from_numpy(encoder._points(used)).float()[None].to(device)
        self._names = torch.tensor([[known.get(name, 0) for name in names]], device=device)
        self._level, self._size = (unit[0] for unit in encoder._units(np.zeros((1, 1, len(names))), names))
        if encoder.normalisation_ == "running":
            # As for whole recordings: single precision counts from the first value.
            self._level = np.full((1, len(names)), np.nan)
        self._state = inner.init_state(1, len(names))
        self._rest = np.empty((0, len(names)))
        self._count = 0

    def push(self, rows: Any) -> pd.DataFrame:
        """Take in the next samples.

        Parameters
        ----------
        rows : array or frame of shape (n_samples, n_channels)
            At the rate of the encoder, NaN where a value is missing. The columns of a frame must be the channels.

        Returns
        -------
        DataFrame of shape (n_new_tokens, n_queries * width)
            A row for each patch that is now complete, by the time of its first sample in seconds from the first of all.
        """
        inner = self._encoder.module_.encoder
        values = self._read(rows)[:, self._kept]
        if len(values) and np.isnan(self._level).any():
            first = np.where(np.isnan(values).all(0), np.nan, first_values(values[None])[0])
            self._level = np.where(np.isnan(self._level), first, self._level)
        values = (values - self._level) / self._size
        waiting = np.concatenate([self._rest, values])
        n = len(waiting) // inner.patch
        self._rest = waiting[n * inner.patch :]
        tokens = np.empty((n, inner.n_features), dtype=np.float32)
        device = inner.hidden.device
        with single_thread(device.type == "cpu"), torch.no_grad():
            for i in range(n):
                piece = torch.from_numpy(waiting[i * inner.patch : (i + 1) * inner.patch]).float()[None].to(device)
                token, self._state = inner.step(piece, self._points, self._names, self._state)
                tokens[i] = token[0].cpu().numpy()
        times = (self._count + np.arange(n)) * self._encoder._seconds
        self._count += n
        index = pd.Index(times, name="time")
        return pd.DataFrame(tokens, index=index, columns=self._encoder.get_feature_names_out())

    def _read(self, rows: Any) -> np.ndarray:
        if isinstance(rows, pd.DataFrame):
            if tuple(map(str, rows.columns)) != self._channels:
                raise ValueError(f"rows: its columns are {list(rows.columns)}. Give {list(self._channels)}.")
            rate = sampling_rate(rows.index, where="rows") if len(rows) > 2 else None
            if rate is not None and abs(rate / self._encoder.sfreq_ - 1) > 1e-3:
                raise ValueError(
                    f"rows: by their times they come at {rate:.4g} Hz, the encoder works at {self._encoder.sfreq_:.4g} "
                    "Hz, and a stream is not resampled. Fit with the sfreq of the stream."
                )
            values = to_numbers(rows, where="rows")
        else:
            values = np.asarray(rows, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self._channels):
            raise ValueError(f"rows: found shape {values.shape}. Give (n_samples, {len(self._channels)}).")
        if np.isinf(values).any():
            raise ValueError("rows: there is an infinite value. Use NaN for what is missing.")
        return values
