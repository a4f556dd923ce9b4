"""Discrete dense state-space dynamics x[t] = Ab x[t-1] + Bb u[t]: kernels, states and steps from powers of Ab.

The Krylov function K[l] = C Ab^l Bb (Gu et al. 2021, arXiv 2110.13985, Section 3.1) is computed from two sides: with
V = (Bb, Ab Bb, ..., Ab^(q-1) Bb) and W_j = C Ab^(q j), K[i + q j] = W_j V_i. That needs memory for V, W and the powers
Ab^(2^i) instead of the whole Krylov matrix, and the same tables give the state after a sequence.
"""

import math
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class DenseDynamics:
    """Step matrices of H systems of order N, with the tables that sequences need, grown when first asked for.

    Parameters
    ----------
    Ab : Tensor of shape (H, N, N)
    Bb : Tensor of shape (H, N)

    Notes
    -----
    Instances that are kept between calls must hold tensors outside of any graph; growing happens without autograd
    then. Tables are replaced, never changed, so that threads may share an instance.
    """

    def __init__(self, Ab: Tensor, Bb: Tensor) -> None:
        self.Ab, self.Bb = Ab, Bb
        self._powers: tuple[Tensor, ...] = (Ab,)
        self._V = Bb[..., None]

    def kernel(self, C: Tensor, length: int) -> Tensor:
        """Return K[l] = C Ab^l Bb for l < length.

        Parameters
        ----------
        C : Tensor of shape (H, M, N)
        length : int

        Returns
        -------
        Tensor of shape (H, M, length)
        """
        q = self._block(length)
        W = self._giant_steps(C, q, -(-length // q))
        return (W.flatten(1, 2) @ self._krylov(q)).view(*C.shape[:2], -1)[..., :length]

    def response(self, C: Tensor, state: Tensor, length: int) -> Tensor:
        """Return what an initial state adds to the outputs: C Ab^(t+1) x for t < length.

        Parameters
        ----------
        C : Tensor of shape (H, M, N)
        state : Tensor of shape (B, H, N)
        length : int

        Returns
        -------
        Tensor of shape (B, length, H, M)
        """
        H, M, _ = C.shape
        q = self._block(length)
        W = self._giant_steps(C, q, -(-length // q))
        columns = self.Ab @ state.permute(1, 2, 0)
        for power in self._squares(int(math.log2(q))):
            columns = torch.cat((columns, power @ columns), dim=2)
        # Columns are ordered (i, b): the doubling puts all batch rows of one power side by side.
        y = W.flatten(1, 2) @ columns
        return y.view(H, M, -1, q, state.shape[0]).flatten(2, 3)[:, :, :length].permute(3, 2, 0, 1)

    def final_state(self, u: Tensor, state: Tensor | None) -> Tensor:
        """Return x[L-1] = Ab^L x[-1] + sum_k Ab^k Bb u[L-1-k].

        Parameters
        ----------
        u : Tensor of shape (B, L, H)
        state : Tensor of shape (B, H, N), optional
            x[-1]; zeros when omitted.

        Returns
        -------
        Tensor of shape (B, H, N)
        """
        size, length, H = u.shape
        q = self._block(length)
        blocks = -(-length // q)
        lags = functional.pad(u.flip(1).permute(2, 0, 1), (0, q * blocks - length))
        parts = lags.reshape(H, size * blocks, q) @ self._krylov(q).mT
        total = self._fold(parts.view(H, size, blocks, -1), q)
        if state is not None:
            carried = state.transpose(0, 1)
            for power in self._powers_of(length):
                carried = carried @ power.mT
            total = total + carried
        return total.transpose(0, 1)

    def step(self, u_t: Tensor, state: Tensor) -> Tensor:
        """Advance states (B, H, N) by one input (B, H)."""
        moved = (state.transpose(0, 1) @ self.Ab.mT).transpose(0, 1)
        return moved + self.Bb * u_t[..., None]

    def _block(self, length: int) -> int:
        """Choose q, a power of two: near sqrt(L) at least, and as large as V costs no more than one power of Ab."""
        wanted = max(math.sqrt(length), min(self.Ab.shape[-1], length))
        return 1 << math.ceil(math.log2(wanted))

    def _squares(self, count: int) -> tuple[Tensor, ...]:
        """Return Ab^(2^i) for i < count."""
        powers = self._powers
        with _outside_inference_mode():
            while len(powers) < count:
                powers = (*powers, powers[-1] @ powers[-1])
        if len(powers) > len(self._powers):
            self._powers = powers
        return powers[:count]

    def _powers_of(self, length: int) -> list[Tensor]:
        squares = self._squares(length.bit_length())
        return [square for i, square in enumerate(squares) if length >> i & 1]

    def _krylov(self, q: int) -> Tensor:
        """Return V = (Bb, Ab Bb, ..., Ab^(q-1) Bb) of shape (H, N, q)."""
        V = self._V
        with _outside_inference_mode():
            while V.shape[-1] < q:
                power = self._squares(int(math.log2(V.shape[-1])) + 1)[-1]
                V = torch.cat((V, power @ V), dim=-1)
        if V.shape[-1] > self._V.shape[-1]:
            self._V = V
        return V[..., :q]

    def _giant_steps(self, C: Tensor, q: int, blocks: int) -> Tensor:
        """Return W_j = C Ab^(q j) for j < blocks, of shape (H, M, blocks, N)."""
        W = C[:, :, None]
        while W.shape[2] < blocks:
            power = self._squares(int(math.log2(q * W.shape[2])) + 1)[-1]
            more = W[:, :, : blocks - W.shape[2]]
            W = torch.cat((W, (more.flatten(1, 2) @ power).view(more.shape)), dim=2)
        return W

    def _fold(self, parts: Tensor, q: int) -> Tensor:
        """Sum Ab^(q j) parts_j over j, pairs first: parts (H, B, J, N) -> (H, B, N)."""
        while parts.shape[2] > 1:
            power = self._squares(int(math.log2(q)) + 1)[-1]
            odd = parts[:, :, 1::2]
            moved = (odd.flatten(1, 2) @ power.mT).view(odd.shape)
            if parts.shape[2] % 2:
                moved = functional.pad(moved, (0, 0, 0, 1))
            parts = parts[:, :, ::2] + moved
            q *= 2
        return parts[:, :, 0]


class Memo:
    """A few discretised systems, each valid as long as the numbers it was made from are unchanged.

    The numbers themselves are compared, O(N) of them, because version counters miss writes through ``.data``. Copies
    and pickles start empty.
    """

    _LIMIT = 4

    def __init__(self) -> None:
        self._entries: dict[Hashable, tuple[Tensor, DenseDynamics]] = {}

    def get(self, key: Hashable, numbers: Tensor, build: Callable[[], DenseDynamics]) -> DenseDynamics:
        """Return the system stored under `key` if it was made from `numbers`, else build and store it."""
        found = self._entries.get(key)
        if found is not None and torch.equal(found[0], numbers):
            return found[1]
        built = build()
        kept = [(k, v) for k, v in self._entries.items() if k != key][1 - self._LIMIT :]
        self._entries = {**dict(kept), key: (numbers, built)}
        return built

    def __reduce__(self) -> tuple[Any, ...]:
        return Memo, ()


def _outside_inference_mode() -> AbstractContextManager:
    """Make tables that later calls may use in a graph, which tensors born in inference mode cannot be."""
    return torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext()
