"""Sequences that ask for what stood a known number of steps back, or for a key that was shown once."""

from math import isfinite
from numbers import Real
from typing import NamedTuple

import numpy as np

from tsrec.datasets._recall import check_whole

# What targets hold where nothing is asked, as in _recall.
_IGNORED = -100
_FILLER_HEIGHT = 0.5


class PasskeySplit(NamedTuple):
    """Inputs of one part of the passkey task, what is to be answered, and how deep it lies.

    Attributes
    ----------
    X : float64 array of shape (n, 2, n_times)
        The series, and the channel of the cue: 1 at the cue, 0 elsewhere.
    y : int64 array of shape (n, n_times)
        The digits at the last steps; -100 before them.
    depth : float64 array of shape (n,)
        Where the key lies: close to 0 at the beginning of the series, close to 1 at the cue.
    """

    X: np.ndarray
    y: np.ndarray
    depth: np.ndarray


class LookBackSplit(NamedTuple):
    """Inputs of one part of a task that looks N steps back, and what is to be answered for each N.

    Attributes
    ----------
    X : float64 array of shape (n, 1, n_times)
        Bits; zeros behind the end of a sequence.
    y : int64 array of shape (n, n_heads, n_times)
        The answer for each N, 0 or 1, at the last step of a sequence; -100 elsewhere.
    n_steps : int64 array of shape (n,)
        Bits of each sequence.
    orders : int64 array of shape (n_heads,)
        N of each head.
    """

    X: np.ndarray
    y: np.ndarray
    n_steps: np.ndarray
    orders: np.ndarray


def make_passkey(
    n_train: int = 5000,
    n_test: int = 500,
    *,
    length: int = 1000,
    depth: float | None = None,
    n_digits: int = 5,
    n_levels: int = 10,
    period: int = 16,
    noise: float = 0.0,
    random_state: int | np.random.Generator | None = None,
) -> tuple[PasskeySplit, PasskeySplit]:
    """A key shown once in a long periodic series, to be said when a cue comes at its end.

    The series repeats one sine of height 0.5. Somewhere a burst replaces every other step by a pulse, whose height,
    1 + digit / (n_levels - 1), is a digit of the key. One step before the last n_digits the cue channel is 1, and in
    those the digits are asked for in their order.

    Parameters
    ----------
    n_train, n_test : int, default 5000, 500
        Sequences of each part, drawn independently.
    length : int, default 1000
        Steps of a sequence, 3 n_digits or more. Nothing else depends on it, so a model that was trained at one length
        can be asked at another.
    depth : float or None, default None
        Where the key lies, from 0, at the beginning, to 1, right before the cue. When None, anywhere in train, and
        (i + 1/2) / n_test for sequence i of test.
    n_digits : int, default 5
        Digits of the key.
    n_levels : int, default 10
        Values of a digit, all as likely.
    period : int, default 16
        Steps after which the series repeats itself, wherever it starts.
    noise : float, default 0.0
        Uniform noise between 0 and this is added to the series, not to the cue.
    random_state : int, numpy Generator or None
        Seed of the draws. The same seed gives the same numbers.

    Returns
    -------
    train, test : PasskeySplit
        X of shape (n, 2, length).

    Raises
    ------
    ValueError
        If a number is out of range, or the key, the cue and the answers need more steps than there are.

    Notes
    -----
    Whoever guesses has 1 / n_levels of the digits. The key holds n_digits log2(n_levels) bits (16.6), whatever the
    length: it is not the size of a state that the task asks for, but that the state stays as it is.

    References
    ----------
    After the text form of Chen et al. (2024), Stuffed Mamba, arXiv 2410.07145; pulses and cue are ours.

    Examples
    --------
    >>> from tsrec.datasets import make_passkey
    >>> train, test = make_passkey(8, 4, length=40, random_state=0)
    >>> train.X.shape, test.depth.round(1).tolist(), test.y[0, -6:].tolist()
    ((8, 2, 40), [0.1, 0.4, 0.6, 0.9], [-100, 6, 6, 3, 2, 0])
    """
    for name, value, least in (("n_train", n_train, 1), ("n_test", n_test, 1), ("n_digits", n_digits, 1)):
        check_whole(name, value, least)
    check_whole("n_levels", n_levels, 2)
    check_whole("period", period, 2)
    check_whole("length", length, 1)
    if length < 3 * n_digits:
        raise ValueError(
            f"length: got {length}, but a key of {n_digits} digits, the cue and the answers need {3 * n_digits} "
            f"steps. Pass {3 * n_digits} or more, or a smaller n_digits."
        )
    check_number("noise", noise, 0)
    if depth is not None:
        check_number("depth", depth, 0, 1)
    task = _Passkey(length, n_digits, n_levels, period, noise)
    for_train, for_test = np.random.default_rng(random_state).spawn(2)
    if depth is None:
        return (
            task.draw(for_train.random(n_train), for_train),
            task.draw((np.arange(n_test) + 0.5) / n_test, for_test),
        )
    return task.draw(np.full(n_train, depth), for_train), task.draw(np.full(n_test, depth), for_test)


def make_parity(
    n_train: int = 5000,
    n_test: int = 500,
    *,
    order: int | tuple[int, int] = (2, 10),
    random_state: int | np.random.Generator | None = None,
) -> tuple[LookBackSplit, LookBackSplit]:
    """Whether the last N bits of a sequence hold an odd number of ones, for one N or for several.

    Bits of a sequence are 1 with a probability of its own, which is uniform between 0 and 1.

    Parameters
    ----------
    n_train, n_test : int, default 5000, 500
        Sequences of each part, drawn independently.
    order : int or (int, int), default (2, 10)
        N, 2 or more; two numbers are the least and the largest of a row of them, with an answer each.
    random_state : int, numpy Generator or None
        Seed of the draws. The same seed gives the same numbers.

    Returns
    -------
    train, test : LookBackSplit
        With lengths uniform from N + 2 to 4 N + 1 for the largest N, and zeros up to 4 N + 1 steps.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    The parity of N bits is that of N - 1, changed by the bit N back, so a model that answers every N up to the last has
    a way from the easy to the hard.

    References
    ----------
    Khajehabdollahi et al. (2024), Emergent mechanisms for long timescales depend on training curriculum and affect
    performance in memory tasks, arXiv 2309.12927.

    Examples
    --------
    >>> from tsrec.datasets import make_parity
    >>> train, test = make_parity(8, 4, order=(2, 4), random_state=0)
    >>> train.X.shape, train.orders.tolist()
    ((8, 1, 17), [2, 3, 4])
    >>> bits, answers = train.X[0, 0, : train.n_steps[0]], train.y[0, :, train.n_steps[0] - 1]
    >>> bits[-4:].astype(int).tolist(), answers.tolist()
    ([0, 1, 0, 0], [0, 1, 1])
    """
    return _look_back(n_train, n_test, order, random_state, parity=True)


def make_dms(
    n_train: int = 5000,
    n_test: int = 500,
    *,
    order: int | tuple[int, int] = (2, 10),
    random_state: int | np.random.Generator | None = None,
) -> tuple[LookBackSplit, LookBackSplit]:
    """Delayed match to sample: whether the bit N back is the last bit, for one N or for several.

    Bits are 0 or 1 alike. The last bit is counted as the first one back, so N = 2 asks for the one before it.

    Parameters
    ----------
    n_train, n_test : int, default 5000, 500
        Sequences of each part, drawn independently.
    order : int or (int, int), default (2, 10)
        N, 2 or more; two numbers are the least and the largest of a row of them, with an answer each.
    random_state : int, numpy Generator or None
        Seed of the draws. The same seed gives the same numbers.

    Returns
    -------
    train, test : LookBackSplit
        With lengths uniform from N + 2 to 4 N + 1 for the largest N, and zeros up to 4 N + 1 steps.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Khajehabdollahi et al. (2024), Emergent mechanisms for long timescales depend on training curriculum and affect
    performance in memory tasks, arXiv 2309.12927.

    Examples
    --------
    >>> from tsrec.datasets import make_dms
    >>> train, test = make_dms(8, 4, order=3, random_state=0)
    >>> bits, answers = train.X[0, 0, : train.n_steps[0]], train.y[0, :, train.n_steps[0] - 1]
    >>> bits[-3:].astype(int).tolist(), answers.tolist()
    ([0, 1, 0], [1])
    """
    return _look_back(n_train, n_test, order, random_state, parity=False)


class _Passkey:
    """What stands where in a sequence of the passkey task."""

    def __init__(self, length: int, n_digits: int, n_levels: int, period: int, noise: float) -> None:
        self.length, self.n_digits, self.n_levels = length, n_digits, n_levels
        self.period, self.noise = period, noise

    def draw(self, depth: np.ndarray, rng: np.random.Generator) -> PasskeySplit:
        """A sequence to each depth, which is taken to the closest step there is."""
        count, places = len(depth), self.length - 3 * self.n_digits + 1
        start = np.minimum((depth * places).astype(np.int64), places - 1)
        digits = rng.integers(self.n_levels, size=(count, self.n_digits))
        phase = rng.integers(self.period, size=(count, 1))
        X = np.zeros((count, 2, self.length))
        X[:, 0] = _FILLER_HEIGHT * np.sin(2 * np.pi / self.period * ((np.arange(self.length) + phase) % self.period))
        pulses = start[:, None] + 2 * np.arange(self.n_digits)
        np.put_along_axis(X[:, 0], pulses, 1 + digits / (self.n_levels - 1), axis=1)
        if self.noise:
            X[:, 0] += self.noise * rng.random((count, self.length))
        X[:, 1, -self.n_digits - 1] = 1
        y = np.full((count, self.length), _IGNORED, dtype=np.int64)
        y[:, -self.n_digits :] = digits
        return PasskeySplit(X, y, (start + 0.5) / places)


def _look_back(
    n_train: int,
    n_test: int,
    order: int | tuple[int, int],
    random_state: int | np.random.Generator | None,
    *,
    parity: bool,
) -> tuple[LookBackSplit, LookBackSplit]:
    check_whole("n_train", n_train, 1)
    check_whole("n_test", n_test, 1)
    least, most = whole_range("order", order, 2)
    for_train, for_test = np.random.default_rng(random_state).spawn(2)
    orders = np.arange(least, most + 1)
    return _drawn(n_train, orders, for_train, parity), _drawn(n_test, orders, for_test, parity)


def _drawn(count: int, orders: np.ndarray, rng: np.random.Generator, parity: bool) -> LookBackSplit:
    most = orders[-1]
    steps = np.arange(4 * most + 1)
    n_steps = rng.integers(most + 2, 4 * most + 2, size=count)
    share = rng.random((count, 1)) if parity else 0.5
    bits = (rng.random((count, len(steps))) < share) & (steps < n_steps[:, None])
    # The last bit first.
    back = np.take_along_axis(bits, n_steps[:, None] - 1 - np.arange(most), axis=1)
    answers = (np.cumsum(back, axis=1) % 2 if parity else back == back[:, :1])[:, orders - 1]
    y = np.full((count, len(orders), len(steps)), _IGNORED, dtype=np.int64)
    y[np.arange(count), :, n_steps - 1] = answers
    return LookBackSplit(bits[:, None].astype(float), y, n_steps, orders)


def whole_range(name: str, value: int | tuple[int, int], least: int) -> tuple[int, int]:
    """Read a whole number, or the least and the largest of a range, as the latter."""
    if not isinstance(value, tuple | list):
        check_whole(name, value, least)
        return value, value
    if len(value) != 2:
        raise ValueError(f"{name}: got {value!r}. Pass a whole number, or the least and the largest.")
    for one in value:
        check_whole(name, one, least)
    if value[0] > value[1]:
        raise ValueError(f"{name}: got {value!r}, with the larger number first. Pass the least first.")
    return value[0], value[1]


def check_number(name: str, value: float, least: float, most: float | None = None) -> None:
    """Refuse what is not a finite number from `least` to `most`."""
    known = isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)
    if not known or value < least or (most is not None and value > most):
        bound = f", {least} or more" if most is None else f" from {least} to {most}"
        raise ValueError(f"{name}: got {value!r}. Pass a number{bound}.")
