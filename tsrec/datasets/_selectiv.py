"""Strings of an artificial grammar whose states are hidden: what must be carried on, and what must be left out."""

from typing import NamedTuple

import numpy as np

from tsrec.datasets._memory_tasks import check_number, whole_range
from tsrec.datasets._recall import check_whole

# What targets hold where nothing is asked, as in _recall.
_IGNORED = -100
_DENSITY = 0.4
_STARTS = 4


class SelectivSplit(NamedTuple):
    """Inputs of one part of a selectivity task, and which hidden state is to be named at each step.

    Attributes
    ----------
    X : float64 array of shape (n, n_symbols + 1, n_times)
        One-hot symbols, the last of which is the end mark; zeros (or noise) in the steps between two symbols.
    y : int64 array of shape (n, n_times)
        The state, from 0 to n_symbols ** 2, at the step of its symbol and in the gap that follows: number k of symbol s
        is s * n_symbols + k, the end mark n_symbols ** 2. -100 at distractors, in the gap behind them, and behind the
        end of the sequence.
    symbol : int64 array of shape (n, n_times)
        Which symbol of the sequence a step belongs to, 0, 1, ...; -1 behind the end.
    """

    X: np.ndarray
    y: np.ndarray
    symbol: np.ndarray


def make_selectiv(
    n_train: int = 5000,
    n_test: int = 500,
    *,
    n_symbols: int = 20,
    length: int = 200,
    gap: int | tuple[int, int] = 1,
    test_gap: int | tuple[int, int] | None = None,
    noise: float = 0.0,
    distractors: float = 0.0,
    distractors_from: int = 50,
    random_state: int | np.random.Generator | None = None,
) -> tuple[SelectivSplit, SelectivSplit]:
    """Symbols of a random grammar, each of which stands for one of several hidden states, which is to be named.

    Each of n_symbols symbols has as many states. From a state there is an edge to one random state of each symbol with
    probability 0.4, and to the end mark with probability 0.4 / n_symbols; edges are as likely as each other. After the
    end mark a string begins at one of four states. So a state follows from the one before and the symbol, but not from
    the symbol alone. Grammars in which the end cannot be reached from everywhere are drawn again.

    Parameters
    ----------
    n_train, n_test : int, default 5000, 500
        Sequences of each part, drawn independently from one grammar.
    n_symbols : int, default 20
        Symbols, which are also the states of each.
    length : int, default 200
        Symbols of a sequence, end marks and distractors among them: strings in a row, cut off.
    gap : int or (int, int), default 1
        Empty steps after each symbol; two numbers are the least and the largest, all as likely.
    test_gap : int or (int, int), optional
        That of the test part, when it is another.
    noise : float, default 0.0
        Uniform noise between 0 and this is added everywhere within a sequence.
    distractors : float, default 0.0
        Share of places at which a symbol stands that may not follow, and that changes nothing.
    distractors_from : int, default 50
        The first place that may hold one.
    random_state : int, numpy Generator or None
        Seed of the draws. The same seed gives the same numbers.

    Returns
    -------
    train, test : SelectivSplit
        With as many steps as the longest sequence of the part.

    Raises
    ------
    ValueError
        If a number is out of range.

    See Also
    --------
    selectiv_accuracy : The share of symbols whose state was found.

    Notes
    -----
    The four tasks of the paper: (1) as by default, with 20 to 40 symbols; (2) ``gap=(1, 10), noise=0.2``;
    (3) ``distractors=0.1``; (4) as 2, with ``test_gap`` of 10, 20, 50 and 100. Grammar, train and test are drawn from
    streams of their own, whose seeds are hashes of the same one: the published generator repeats strings of its
    training part in its test part. The start states have different symbols here, which leaves no state in doubt.

    References
    ----------
    SelectivBench, arXiv 2601.12598. Its grammars: SymSeqBench, arXiv 2512.24977.

    Examples
    --------
    >>> from tsrec.datasets import make_selectiv
    >>> train, test = make_selectiv(8, 4, n_symbols=3, length=10, random_state=0)
    >>> train.X.shape
    (8, 4, 20)
    >>> train.X[0, :, ::2].argmax(axis=0).tolist()
    [2, 2, 1, 1, 0, 0, 1, 1, 0, 3]
    >>> train.y[0, ::2].tolist()
    [6, 8, 3, 5, 1, 0, 3, 5, 1, 9]
    """
    check_whole("n_train", n_train, 1)
    check_whole("n_test", n_test, 1)
    check_whole("n_symbols", n_symbols, 2)
    check_whole("length", length, 1)
    check_whole("distractors_from", distractors_from, 0)
    check_number("noise", noise, 0)
    check_number("distractors", distractors, 0, 1)
    gaps = [whole_range("gap", gap, 0), whole_range("test_gap", gap if test_gap is None else test_gap, 0)]
    for_grammar, *streams = np.random.default_rng(random_state).spawn(3)
    grammar = _Grammar(n_symbols, for_grammar)
    parts = []
    for count, between, rng in zip((n_train, n_test), gaps, streams, strict=True):
        shown, states = grammar.walk(count, length, distractors, distractors_from, rng)
        parts.append(_written(shown, states, n_symbols + 1, between, noise, rng))
    return parts[0], parts[1]


def selectiv_accuracy(scores: np.ndarray, y: np.ndarray, symbol: np.ndarray) -> float:
    """Return the share of symbols whose state was found: the largest sum of probabilities over its step and its gap.

    Parameters
    ----------
    scores : array of shape (n, n_times, n_states)
        Log odds of each state at each step, up to a constant.
    y, symbol : int64 array of shape (n, n_times)
        As in :class:`SelectivSplit`. Where y is -100, nothing counts.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If shapes do not fit, or there is nothing to find.

    References
    ----------
    SelectivBench, arXiv 2601.12598.

    Examples
    --------
    >>> import numpy as np
    >>> from tsrec.datasets import selectiv_accuracy
    >>> scores = np.log([[[0.6, 0.4], [0.1, 0.9], [0.8, 0.2]]])
    >>> selectiv_accuracy(scores, np.array([[1, 1, 1]]), np.array([[0, 0, 1]]))
    0.5
    """
    scores, y, symbol = np.asarray(scores), np.asarray(y), np.asarray(symbol)
    if scores.ndim != 3 or not scores.shape[:2] == y.shape == symbol.shape:
        raise ValueError(
            f"scores: got the shape {scores.shape} beside y of {y.shape} and symbol of {symbol.shape}. "
            "Pass (n, n_times, n_states) and twice (n, n_times)."
        )
    found = 0
    asked = 0
    for odds, answers, numbers in zip(scores, y, symbol, strict=True):
        first = np.flatnonzero(np.diff(numbers, prepend=-2))
        share = np.exp(odds - odds.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        named = np.add.reduceat(share, first, axis=0).argmax(axis=1)
        wanted = answers[first]
        found += int((named == wanted).sum())
        asked += int((wanted != _IGNORED).sum())
    if not asked:
        raise ValueError("y: got -100 everywhere. Pass at least one symbol with an answer.")
    return found / asked


class _Grammar:
    """Which state follows which by which symbol; the end mark is the last state, and the last symbol."""

    def __init__(self, n_symbols: int, rng: np.random.Generator) -> None:
        self.n_symbols = n_symbols
        self.follows = _edges(n_symbols, rng)
        while not _ends_everywhere(self.follows):
            self.follows = _edges(n_symbols, rng)
        allowed = self.follows >= 0
        # The symbols that may follow come first, the others after them.
        self.order, self.n_allowed = np.argsort(~allowed, axis=1, kind="stable"), allowed.sum(axis=1)
        # The end mark, which comes last where it is not allowed, is no distractor.
        self.n_forbidden = (~allowed[:, :-1]).sum(axis=1)

    def walk(
        self, count: int, length: int, distractors: float, distractors_from: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Symbols and states, -100 for distractors; both (count, length)."""
        shown, states = (np.empty((count, length), dtype=np.int64) for _ in range(2))
        state = np.full(count, self.n_symbols**2)
        for place in range(length):
            draw, apart = rng.random((2, count))
            apart = (apart < distractors) & (place >= distractors_from) & (self.n_forbidden[state] > 0)
            number = np.where(
                apart,
                self.n_allowed[state] + (draw * self.n_forbidden[state]).astype(np.int64),
                (draw * self.n_allowed[state]).astype(np.int64),
            )
            shown[:, place] = self.order[state, number]
            state = np.where(apart, state, self.follows[state, shown[:, place]])
            states[:, place] = np.where(apart, _IGNORED, state)
        return shown, states


def _edges(n_symbols: int, rng: np.random.Generator) -> np.ndarray:
    """State that follows a state by a symbol, -1 where none may; (n_symbols ** 2 + 1, n_symbols + 1)."""
    end = n_symbols**2
    follows = np.full((end + 1, n_symbols + 1), -1)
    target = np.arange(n_symbols) * n_symbols + rng.integers(n_symbols, size=(end, n_symbols))
    follows[:-1, :-1] = np.where(rng.random((end, n_symbols)) < _DENSITY, target, -1)
    follows[:-1, -1] = np.where(rng.random(end) < _DENSITY / n_symbols, end, -1)
    first = rng.choice(n_symbols, min(_STARTS, n_symbols), replace=False)
    follows[-1, first] = first * n_symbols + rng.integers(n_symbols, size=len(first))
    return follows


def _ends_everywhere(follows: np.ndarray) -> bool:
    """Whether the end can be reached from every state."""
    ends = np.zeros(len(follows), dtype=bool)
    ends[-1] = True
    while True:
        wider = ends | (ends[follows] & (follows >= 0)).any(axis=1)
        if (wider == ends).all():
            return bool(ends.all())
        ends = wider


def _written(
    shown: np.ndarray,
    states: np.ndarray,
    n_channels: int,
    gap: tuple[int, int],
    noise: float,
    rng: np.random.Generator,
) -> SelectivSplit:
    """One-hot symbols with gaps between them."""
    steps = 1 + rng.integers(gap[0], gap[1] + 1, size=shown.shape)
    end = np.cumsum(steps, axis=1)
    rows = np.arange(len(shown))[:, None]
    began = np.zeros((len(shown), end[:, -1].max()), dtype=np.int64)
    began[rows, end - steps] = 1
    within = np.arange(began.shape[1]) < end[:, -1:]
    symbol = np.where(within, np.cumsum(began, axis=1) - 1, -1)
    X = np.zeros((len(shown), n_channels, began.shape[1]))
    X[rows, shown, end - steps] = 1
    if noise:
        X += noise * rng.random(X.shape) * within[:, None]
    return SelectivSplit(X, np.where(within, states[rows, symbol], _IGNORED), symbol)
