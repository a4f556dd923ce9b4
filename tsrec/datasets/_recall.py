"""Sequences that ask what was said before: associative recall, of symbols and of vectors."""

from math import inf
from numbers import Integral
from typing import NamedTuple

import numpy as np

# What targets hold where nothing is asked; torch's cross-entropy leaves it out by itself.
_IGNORED = -100
# Draws in a row that were there already, before it is said that there are no more.
_MOST_MISSES = 10_000


class RecallSplit(NamedTuple):
    """Inputs of one part of a recall task, and what is to be answered.

    Attributes
    ----------
    X : array
        Symbols int64 of shape (n, n_times), or vectors float64 of shape (n, n_channels, n_times).
    y : int64 array of shape (n, n_times)
        The answer at each step; -100 where none is asked.
    values : float64 array of shape (n_symbols, n_channels // 2), or None
        Vectors of the values that y counts, the same for every part. None where X are symbols.
    """

    X: np.ndarray
    y: np.ndarray
    values: np.ndarray | None = None


def make_associative_recall(
    n_train: int = 5000,
    n_test: int = 500,
    *,
    vocab_size: int = 20,
    length: int = 40,
    one_shot: bool = False,
    random_state: int | np.random.Generator | None = None,
) -> tuple[RecallSplit, RecallSplit]:
    """Pairs of a key and a value in a row, then a key whose value is asked for.

    A sequence is "k v k v ... => k", and its last answer is the v that followed the last k. Keys and values are the two
    halves of the symbols "0", "1", ...; each sequence has its own table of them, in which a key keeps its value. With
    the same seed the numbers are those of the generator of H3 and Hyena (``safari``), bit for bit.

    Parameters
    ----------
    n_train, n_test : int, default 5000, 500
        Sequences of each part. No two of a part are equal.
    vocab_size : int, default 20
        Symbols V, of which two are marks: (V - 2) // 2 keys, the rest are values.
    length : int, default 40
        Steps of the pairs; an odd one counts as one less.
    one_shot : bool, default False
        Whether a key is said once only, so that an answer is length / 2 steps away in the mean, whatever the length.
        There must be a key for each pair, vocab_size >= 2 (length // 2) + 2.
    random_state : int, numpy Generator or None
        Seed of the draws. The same seed gives the same numbers.

    Returns
    -------
    train, test : RecallSplit
        X of shape (n, 2 * (length // 2) + 2), symbols from 0 to V - 1. y of train is the next symbol at every step, y
        of test the answer at the last step and -100 before it.

    Raises
    ------
    ValueError
        If a number is out of range, or there are fewer different sequences than asked for.

    Notes
    -----
    Numbers follow the order of the symbols as text: "." is 0, which no sequence has, and "=>" is V - 1. Of a key that
    was said several times the nearest is close (14.5 steps away in the mean at V = 20 and length 40), so a longer
    sequence is not harder, but a larger vocabulary is.

    References
    ----------
    Fu et al. (2022), Hungry Hungry Hippos, arXiv 2212.14052. Poli et al. (2023), Hyena Hierarchy, arXiv 2302.10866.

    Examples
    --------
    >>> from tsrec.datasets import make_associative_recall
    >>> train, test = make_associative_recall(200, 50, vocab_size=10, length=20, random_state=0)
    >>> train.X.shape, test.y[0, -3:].tolist()
    ((200, 22), [-100, -100, 6])
    """
    check_whole("n_train", n_train, 1)
    check_whole("n_test", n_test, 1)
    check_whole("vocab_size", vocab_size, 4)
    check_whole("length", length, 2)
    if not isinstance(one_shot, bool | np.bool_):
        raise ValueError(f"one_shot: got {one_shot!r}. Pass True or False.")
    if one_shot and vocab_size < 2 * (length // 2) + 2:
        raise ValueError(
            f"vocab_size: got {vocab_size}, but {length // 2} pairs of different keys need {2 * (length // 2) + 2} "
            "symbols. Pass that many or more, or one_shot=False."
        )
    rng = np.random.default_rng(random_state)
    task = _PairTask(vocab_size, length // 2, one_shot=one_shot)
    train = _distinct_rows("n_train", n_train, task, rng)
    test = _distinct_rows("n_test", n_test, task, rng)
    asked = np.full_like(test[:, 1:], _IGNORED)
    asked[:, -1] = test[:, -1]
    # A copy, so that whoever changes X in place does not change y as well.
    return RecallSplit(train[:, :-1].copy(), train[:, 1:]), RecallSplit(test[:, :-1], asked)


def make_mqar(
    n_train: int = 5000,
    n_test: int = 500,
    *,
    length: int = 64,
    n_pairs: int = 4,
    n_symbols: int = 64,
    n_channels: int | None = 32,
    power: float = 0.01,
    random_state: int | np.random.Generator | None = None,
) -> tuple[RecallSplit, RecallSplit]:
    """Multi-query associative recall: pairs of a key and a value, then each key once more, its value asked for.

    Keys are asked for after gaps that are short more often than long: key after key takes a free slot s = 1, 2, ...
    behind the pairs, with a probability in proportion to s ** (power - 1). Between them there is silence (zeros).

    Parameters
    ----------
    n_train, n_test : int, default 5000, 500
        Sequences of each part, drawn independently.
    length : int, default 64
        Steps of a sequence.
    n_pairs : int, default 4
        Pairs, which differ in their keys and in their values.
    n_symbols : int, default 64
        Different keys, and as many values; at least n_pairs.
    n_channels : int or None, default 32
        Channels of the continuous form, a step to a pair: the first half is the vector of the key, the other that of
        the value, and zeros where it is asked for. When None, symbols in steps of their own, two to a pair or a slot:
        0 is silence, 1 to n_symbols are keys, n_symbols + 1 to 2 * n_symbols values.
    power : float, default 0.01
        How far the queries are spread; 1 takes all slots alike.
    random_state : int, numpy Generator or None
        Seed of the draws. The same seed gives the same numbers.

    Returns
    -------
    train, test : RecallSplit
        X of shape (n, n_channels, length), or symbols (n, length). y numbers the values from 0 in both forms, where a
        key is asked for, and is -100 elsewhere. `values` are the vectors of the values, one set for both parts.

    Raises
    ------
    ValueError
        If a number is out of range, or the pairs and queries need more steps than there are.

    Notes
    -----
    The vectors are of unit length, in random directions. They are drawn anew by each call, so a model knows only those
    of the call it was trained on.

    References
    ----------
    Arora et al. (2023), Zoology: Measuring and Improving Recall in Efficient Language Models, arXiv 2312.04927.

    Examples
    --------
    >>> from tsrec.datasets import make_mqar
    >>> train, test = make_mqar(10, 5, length=32, random_state=0)
    >>> train.X.shape, int((train.y[0] >= 0).sum()), train.values.shape
    ((10, 32, 32), 4, (64, 16))
    """
    check_whole("n_train", n_train, 1)
    check_whole("n_test", n_test, 1)
    check_whole("n_pairs", n_pairs, 1)
    check_whole("n_symbols", n_symbols, n_pairs)
    task = _QueryTask(length, n_pairs, n_symbols, power, symbolic=n_channels is None)
    rng = np.random.default_rng(random_state)
    if n_channels is None:
        return task.symbols(n_train, rng), task.symbols(n_test, rng)
    check_whole("n_channels", n_channels, 4)
    if n_channels % 2:
        raise ValueError(f"n_channels: got {n_channels}, which is odd. Pass an even number, or None for symbols.")
    keys, values = (_unit_vectors(n_symbols, n_channels // 2, rng) for _ in range(2))
    return task.vectors(n_train, keys, values, rng), task.vectors(n_test, keys, values, rng)


class _PairTask:
    """The symbols of associative recall, and how a sequence is drawn."""

    def __init__(self, vocab_size: int, n_pairs: int, *, one_shot: bool) -> None:
        symbols = sorted(map(str, range(vocab_size - 2)))
        numbers = {symbol: i for i, symbol in enumerate(sorted([*symbols, "=>", "."]))}
        half = len(symbols) // 2
        self.keys = np.array([numbers[symbol] for symbol in symbols[:half]])
        self.values = np.array([numbers[symbol] for symbol in symbols[half:]])
        self.mark, self.n_pairs, self.one_shot = numbers["=>"], n_pairs, one_shot

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a table, the pairs, and a key to ask for, which is one that was said."""
        table = self.values[rng.integers(0, len(self.values), size=len(self.keys))]
        if self.one_shot:
            said = rng.choice(len(self.keys), self.n_pairs, replace=False)
        else:
            said = rng.integers(0, len(self.keys), size=self.n_pairs)
        asked = int(rng.integers(0, len(self.keys)))
        if asked not in said:
            # In the order in which they were said first: a reordered list would answer another draw.
            known = list(dict.fromkeys(said.tolist()))
            asked = known[rng.integers(0, len(known))]
        row = np.empty(2 * self.n_pairs + 3, dtype=np.int64)
        row[:-3:2], row[1:-3:2] = self.keys[said], table[said]
        row[-3:] = self.mark, self.keys[asked], table[asked]
        return row


def _distinct_rows(name: str, count: int, task: _PairTask, rng: np.random.Generator) -> np.ndarray:
    """Rows of which no two are equal, shuffled; int64 (count, n_times + 1)."""

    # Bytes with the largest first sort as the numbers do, can stand in a set, and are small when rows are long.
    def drawn() -> bytes:
        return task.draw(rng).astype(">u4").tobytes()

    rows = sorted({drawn() for _ in range(count)})
    known, misses = set(rows), 0
    while len(rows) < count:
        row = drawn()
        misses = misses + 1 if row in known else 0
        if misses > _MOST_MISSES:
            raise ValueError(
                f"{name}: got {count}, but only {len(rows)} different sequences were found. Pass fewer, or a larger "
                "vocab_size or length."
            )
        if row not in known:
            known.add(row)
            rows.append(row)
    rng.shuffle(rows)
    return np.frombuffer(b"".join(rows), dtype=">u4").reshape(count, -1).astype(np.int64)


class _QueryTask:
    """What stands where in a sequence of multi-query recall, and how it is written in symbols or vectors."""

    def __init__(self, length: int, n_pairs: int, n_symbols: int, power: float, *, symbolic: bool) -> None:
        check_whole("length", length, 1)
        self.stride = 2 if symbolic else 1
        least = 2 * self.stride * n_pairs
        if length < least:
            raise ValueError(
                f"length: got {length}, but {n_pairs} pairs and their queries need {least} steps. Pass {least} or "
                "more, or a smaller n_pairs."
            )
        number = isinstance(power, int | float | np.integer | np.floating) and not isinstance(power, bool)
        if not number or not 0 < power < inf:
            raise ValueError(f"power: got {power!r}. Pass a positive number, 1 to take all slots alike.")
        self.length, self.n_pairs, self.n_symbols, self.power = length, n_pairs, n_symbols, float(power)

    def symbols(self, count: int, rng: np.random.Generator) -> RecallSplit:
        """Sequences with a symbol to a step."""
        keys, values, asked = self._draw(count, rng)
        X = np.zeros((count, self.length), dtype=np.int64)
        said = 2 * np.arange(self.n_pairs)
        X[:, said], X[:, said + 1] = 1 + keys, 1 + self.n_symbols + values
        np.put_along_axis(X, asked, 1 + keys, axis=1)
        return RecallSplit(X, self._answers(asked, values))

    def vectors(self, count: int, key: np.ndarray, value: np.ndarray, rng: np.random.Generator) -> RecallSplit:
        """Sequences of vectors, those of a key and its value one above the other; `key` and `value` have a row each."""
        keys, values, asked = self._draw(count, rng)
        half = key.shape[1]
        X = np.zeros((count, 2 * half, self.length))
        steps = X.transpose(0, 2, 1)
        steps[:, : self.n_pairs, :half], steps[:, : self.n_pairs, half:] = key[keys], value[values]
        steps[np.arange(count)[:, None], asked, :half] = key[keys]
        return RecallSplit(X, self._answers(asked, values), value)

    def _draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Numbers of the keys and values of each pair, and the step at which it is asked for; each (count, n_pairs)."""
        keys, values = (
            np.stack([rng.choice(self.n_symbols, self.n_pairs, replace=False) for _ in range(count)]) for _ in range(2)
        )
        # The largest of log-weights with Gumbel noise, in turn, are draws by these weights without replacement.
        slots = np.arange(1, self.length // self.stride - self.n_pairs + 1)
        rank = rng.gumbel(size=(count, len(slots))) + (self.power - 1) * np.log(slots)
        slot = np.argsort(-rank, axis=1)[:, : self.n_pairs]
        return keys, values, self.stride * (self.n_pairs + slot)

    def _answers(self, asked: np.ndarray, values: np.ndarray) -> np.ndarray:
        y = np.full((len(asked), self.length), _IGNORED, dtype=np.int64)
        np.put_along_axis(y, asked, values, axis=1)
        return y


def _unit_vectors(count: int, size: int, rng: np.random.Generator) -> np.ndarray:
    vectors = rng.normal(size=(count, size))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def check_whole(name: str, value: int, least: int) -> None:
    """Refuse what is not a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name}: got {value!r}. Pass a whole number, {least} or more.")
