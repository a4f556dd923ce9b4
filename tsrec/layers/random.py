"""Layers whose randomness comes from an explicit torch.Generator and never from the global state."""

import math
from typing import Any

import torch
from torch import Tensor, nn

# Elements of a pool at least, masks in it at least, and how often it is read through before it is drawn anew.
_POOL, _MASKS = 1 << 14, 8
_READINGS = 16
# Masks of more elements are drawn one by one: a pool of them would outweigh what they mask.
_LARGEST = 1 << 20


def default_generator(generator: torch.Generator | None) -> torch.Generator:
    """Return the generator given, or a fresh one with seed 0, so that layers never draw from the global state."""
    return torch.Generator().manual_seed(0) if generator is None else generator


class Linear(nn.Linear):
    """A torch.nn.Linear initialised from a given generator: weight and bias uniform in +-1/sqrt(in_features).

    Parameters
    ----------
    in_features, out_features : int
        Widths of input and output.
    bias : bool, default True
        Whether to add a bias.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted. It is not kept.

    Examples
    --------
    >>> g = torch.Generator().manual_seed(7)
    >>> Linear(3, 2, generator=g)
    Linear(in_features=3, out_features=2, bias=True)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(in_features, out_features, bias)
        self.reset_parameters(default_generator(generator))

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw new initial values; without a generator nothing happens, as torch's constructor calls it so."""
        if generator is None:
            return
        bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-bound, bound, generator=generator)


class Dropout(nn.Module):
    """Inverted dropout that draws its masks from the attribute `generator`.

    Whoever trains the module sets ``generator`` on every submodule which has that attribute; copies and pickles leave
    it behind, because it belongs to the training and not to the module.

    Parameters
    ----------
    p : float, default 0.5
        Probability to zero an element, in [0, 1). Rounded to a multiple of 2^-16; what is kept is scaled with the
        rounded value, so the expectation is exact.

    Raises
    ------
    ValueError
        If `p` is outside [0, 1).

    Notes
    -----
    Random numbers cost more than all the rest of a small net. One 64-bit draw holds four 16-bit numbers, which are
    compared with a threshold; the masks of one epoch are cut at random places from a pool of them, drawn when training
    mode is set and again when it has been read sixteen times over. Masks of more than a million elements have no pool.

    Examples
    --------
    >>> drop = Dropout(0.5)
    >>> drop.generator = torch.Generator().manual_seed(0)
    >>> sorted(set(drop(torch.ones(100)).tolist()))
    [0.0, 2.0]
    """

    generator: torch.Generator | None

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p must lie in [0, 1), got {p}.")
        self.p = p
        self.generator = None
        self._pool: Tensor | None = None
        self._read = 0

    def forward(self, x: Tensor) -> Tensor:
        """Zero elements of `x` at random in training mode, return `x` itself otherwise.

        Parameters
        ----------
        x : Tensor of any shape

        Returns
        -------
        Tensor of the same shape

        Raises
        ------
        RuntimeError
            In training mode without a generator.
        """
        if not self.training or self.p == 0:
            return x
        if self.generator is None:
            raise RuntimeError(
                "Dropout has no generator, and in training mode it does not draw from the global random state. "
                "Set .generator on every submodule that has the attribute, or call .eval()."
            )
        count = x.numel()
        if count > _LARGEST:
            return x * self._draw(count, self.generator).to(x.device, x.dtype).view(x.shape)
        pool = self._pool
        if pool is None or len(pool) < _MASKS * count or pool.dtype != x.dtype or self._read > _READINGS * len(pool):
            pool = self._pool = self._draw(max(_POOL, _MASKS * count), self.generator).to(x.device, x.dtype)
            self._read = 0
        self._read += count
        place = torch.randint(len(pool) - count + 1, (1,), generator=self.generator, device=self.generator.device)
        return x * pool.narrow(0, int(place), count).view(x.shape)

    def train(self, mode: bool = True) -> "Dropout":
        """Set the mode and forget the pool, so that an epoch depends on the state of its generator alone."""
        self._pool = None
        return super().train(mode)

    def draws(self) -> tuple[Tensor | None, int, torch.Generator | None, Tensor | None]:
        """Return where it stands with its random numbers, for :meth:`put_back`."""
        generator = self.generator
        return self._pool, self._read, generator, None if generator is None else generator.get_state()

    def put_back(self, draws: tuple[Tensor | None, int, torch.Generator | None, Tensor | None]) -> None:
        """Draw from now on as after :meth:`draws` was called. The generator, which others may share, moves too."""
        self._pool, self._read, self.generator, state = draws
        if self.generator is not None and state is not None:
            self.generator.set_state(state)

    def extra_repr(self) -> str:
        """Show the rate when the module is printed."""
        return f"p={self.p}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "generator": None, "_pool": None}

    def _draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return factors, 0 where an element is dropped, on the generator's device."""
        levels = 1 << 16
        dropped = min(round(self.p * levels), levels - 1)
        words = torch.empty(-(-count // 4), dtype=torch.int64, device=generator.device)
        words.random_(-(2**63), None, generator=generator)
        keep = words.view(torch.int16)[:count] >= dropped - levels // 2
        return keep.float().mul_(levels / (levels - dropped))
