"""Random numbers come from a ``torch.Generator`` that is made here and handed down; no global state is read or set."""

import numbers

import numpy as np
import torch

_SEEDS = 2**63 - 1


def make_generator(
    random_state: int | np.random.RandomState | np.random.Generator | torch.Generator | None = None,
) -> torch.Generator:
    """Return a CPU generator for ``random_state``.

    Parameters
    ----------
    random_state : int, numpy RandomState or Generator, torch.Generator, or None
        An int gives the same numbers every time. A numpy generator is drawn from once, so two calls with the same
        object differ, as in scikit-learn. A torch generator is used as it is. None takes fresh entropy from the
        operating system.

    Returns
    -------
    torch.Generator

    Raises
    ------
    ValueError
        If ``random_state`` is a negative int.
    TypeError
        If it is anything else.

    Examples
    --------
    >>> import torch
    >>> torch.rand(1, generator=make_generator(3)).equal(torch.rand(1, generator=make_generator(3)))
    True
    """
    if isinstance(random_state, torch.Generator):
        return random_state
    if random_state is None:
        seed = int(np.random.SeedSequence().generate_state(1, dtype=np.uint64)[0]) & _SEEDS
    elif isinstance(random_state, np.random.RandomState):
        seed = int(random_state.randint(0, 2**31 - 1))
    elif isinstance(random_state, np.random.Generator):
        seed = int(random_state.integers(0, _SEEDS))
    elif isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool):
        seed = int(random_state)
        if seed < 0:
            raise ValueError(f"random_state must not be negative. Got {seed}; use an int from 0 on.")
    else:
        raise TypeError(
            "random_state must be an int, a numpy RandomState or Generator, or None. "
            f"Got {type(random_state).__name__}: {random_state!r}."
        )
    return torch.Generator().manual_seed(seed)
