"""CPU kernels of the short causal convolution: taps applied directly, four per pass over a row of channels."""

import torch
from numba import njit, prange
from torch import Tensor

from tsrec.kernels._numba import OPTIONS, as_array, may_run_parallel, threads


def conv(u: Tensor, taps: Tensor, reverse: bool = False) -> Tensor:
    """Return y[t] = sum_k taps[k] u[t-k] (u[t+k] if reversed): u (B, L, W), taps (L_k <= L, W) -> (B, L, W)."""
    y = torch.empty(u.shape, dtype=u.dtype)
    arrays = (as_array(u), as_array(taps), as_array(y), reverse)
    if may_run_parallel(u.shape[0], u.numel()):
        with threads():
            _conv_parallel(*arrays)
    else:
        _conv_serial(*arrays)
    return y


def conv_taps_gradient(u: Tensor, g: Tensor, n_taps: int) -> Tensor:
    """Return sum_{b,t} g[b, t] u[b, t-k] for k < n_taps, of shape (n_taps, W); rows are summed in a fixed order."""
    partial = torch.zeros((u.shape[0], n_taps, u.shape[2]), dtype=u.dtype)
    arrays = (as_array(u), as_array(g), as_array(partial))
    if may_run_parallel(u.shape[0], u.numel()):
        with threads():
            _taps_parallel(*arrays)
    else:
        _taps_serial(*arrays)
    return partial.sum(0)


@njit(nogil=True, **OPTIONS)
def _conv_row(u, taps, y, reverse):  # type: ignore[no-untyped-def]
    length, width = u.shape
    sign = -1 if reverse else 1
    for s in range(length):
        t = length - 1 - s if reverse else s
        yt = y[t]
        count = min(s + 1, taps.shape[0])
        # The first one to four taps make the rest a multiple of four.
        first = (count - 1) % 4 + 1
        k0, u0 = taps[0], u[t]
        for d in range(width):
            yt[d] = k0[d] * u0[d]
        for k in range(1, first):
            k0, u0 = taps[k], u[t - sign * k]
            for d in range(width):
                yt[d] += k0[d] * u0[d]
        for k in range(first, count, 4):
            k0, k1, k2, k3 = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
            i = t - sign * k
            u0, u1, u2, u3 = u[i], u[i - sign], u[i - 2 * sign], u[i - 3 * sign]
            for d in range(width):
                yt[d] += k0[d] * u0[d] + k1[d] * u1[d] + k2[d] * u2[d] + k3[d] * u3[d]


@njit(nogil=True, **OPTIONS)
def _conv_serial(u, taps, y, reverse):  # type: ignore[no-untyped-def]
    for i in range(u.shape[0]):
        _conv_row(u[i], taps, y[i], reverse)


@njit(parallel=True, **OPTIONS)
def _conv_parallel(u, taps, y, reverse):  # type: ignore[no-untyped-def]
    for i in prange(u.shape[0]):
        _conv_row(u[i], taps, y[i], reverse)


@njit(nogil=True, **OPTIONS)
def _taps_row(u, g, out):  # type: ignore[no-untyped-def]
    length, width = u.shape
    for k in range(out.shape[0]):
        row = out[k]
        # Four steps per pass, so that the sums are loaded and stored a quarter as often.
        first = k + (length - k) % 4
        for t in range(k, first):
            for d in range(width):
                row[d] += g[t, d] * u[t - k, d]
        for t in range(first, length, 4):
            g0, g1, g2, g3 = g[t], g[t + 1], g[t + 2], g[t + 3]
            i = t - k
            u0, u1, u2, u3 = u[i], u[i + 1], u[i + 2], u[i + 3]
            for d in range(width):
                row[d] += g0[d] * u0[d] + g1[d] * u1[d] + g2[d] * u2[d] + g3[d] * u3[d]


@njit(nogil=True, **OPTIONS)
def _taps_serial(u, g, out):  # type: ignore[no-untyped-def]
    for i in range(u.shape[0]):
        _taps_row(u[i], g[i], out[i])


@njit(parallel=True, **OPTIONS)
def _taps_parallel(u, g, out):  # type: ignore[no-untyped-def]
    for i in prange(u.shape[0]):
        _taps_row(u[i], g[i], out[i])
