"""Whether a haystack can be answered without looking for what is asked."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tsrec.datasets._haystack import Haystack
from tsrec.datasets._haystack_answers import score_answers
from tsrec.datasets._haystack_item import Answer, HaystackItem

# Seconds over which a step is measured on either side.
_STEP = 0.25
_BINS = 8


class _Clues(NamedTuple):
    """What baselines see of an item: features of each kind, and intervals that would be guessed by it."""

    features: dict[str, np.ndarray]
    guesses: dict[str, list[float]]


def audit_haystack(haystack: Haystack, *, tolerance: float = 0.05, on_failure: str = "raise") -> pd.DataFrame:
    """Try to answer a haystack by shortcuts, learned from its train items and scored on the others.

    Parameters
    ----------
    haystack : Haystack
        Items of one task and one context. All are rendered. With n items to score, chance is met within
        1 / sqrt(n) or so: 400 or more make 5 points count.
    tolerance : float, default 0.05
        By how much the accuracy of a shortcut may exceed that of chance where the answer is yes or no.
    on_failure : {"raise", "return"}, default "raise"
        Whether a shortcut that exceeds it is an error, or only seen in the table.

    Returns
    -------
    table : DataFrame
        Columns task, context (seconds), baseline, n, chance (share of the commonest answer; 0 for intervals that
        all differ), accuracy, error (standard error of the accuracy) and passed.

    Raises
    ------
    ValueError
        If a part is empty, or a shortcut works.

    See Also
    --------
    make_haystack : Make the items.

    Notes
    -----
    Baselines:

    - majority: the commonest answer to the same question.
    - energy: the feature of the loudness, cut at its eighths, that tells best on the train items, or the window of the
      usual length that stands out most. Loudness is the squared deviation from the mean of each channel, or from a
      moving mean, in units of their deviation, over windows of 1 s and of the usual insertion: largest, smallest and
      mean of them, and largest and smallest against the median.
    - splice_edge: the same for steps between means over 0.25 s, the largest anywhere and those at the ends of the
      insertions, which the baseline is told; or the insertion with the largest steps. Also how loudness changes there.
    - duration_prior: the same for number, places and lengths of the insertions; or an interval of the median length
      about the median middle.

    Examples
    --------
    >>> from tsrec.datasets import audit_haystack, make_haystack, make_recordings
    >>> recordings, events = make_recordings(14, seconds=240, rate=20, random_state=0)
    >>> haystack = make_haystack(
    ...     recordings, events, task="existence", context=60, needle=3, n_train=40, n_val=10, n_test=10
    ... )
    >>> table = audit_haystack(haystack, on_failure="return")
    >>> table["baseline"].tolist()
    ['majority', 'energy', 'splice_edge', 'duration_prior']
    """
    if on_failure not in ("raise", "return"):
        raise ValueError(f"on_failure: got {on_failure!r}. Pass 'raise' or 'return'.")
    train, rest = haystack.train, [*haystack.val, *haystack.test]
    if not train or not rest:
        raise ValueError(f"haystack: got {len(train)} train items and {len(rest)} others. Make some of both.")
    usual = int(np.median([edit.n_times for item in train for edit in item.edits] or [round(train[0].rate)]))
    seen, new = ([_clues(item, usual) for item in items] for items in (train, rest))
    is_interval = train[0].question["answer"] == "interval"
    answered = _guessed(train, rest, new) if is_interval else _learned(train, rest, seen, new)
    table = pd.DataFrame([_row(rest, name, codes, tolerance) for name, codes in answered.items()])
    failed = table[~table["passed"]]
    if train[0].question["answer"] == "bool" and on_failure == "raise" and len(failed):
        worst = failed.loc[failed["accuracy"].idxmax()]
        raise ValueError(
            f"haystack: {worst['baseline']} answers {worst['task']} with an accuracy of {worst['accuracy']:.3f}, where "
            f"chance is {worst['chance']:.3f}. Keep shams=True and gain=1, pass level='match', or score more items."
        )
    return table


def _row(items: Sequence[HaystackItem], name: str, codes: list[Any], tolerance: float) -> dict[str, Any]:
    true = [_code(item) for item in items]
    if items[0].question["answer"] == "interval":
        right = score_answers(items, codes)["accuracy"].iloc[0]
        chance = true.count(None) / len(items)
    else:
        right = sum(code == told for code, told in zip(true, codes, strict=True)) / len(items)
        chance = max(Counter(true).values()) / len(items)
    return {
        "task": items[0].task,
        "context": items[0].context,
        "baseline": name,
        "n": len(items),
        "chance": chance,
        "accuracy": float(right),
        "error": float(np.sqrt(right * (1 - right) / len(items))),
        "passed": bool(right <= chance + tolerance),
    }


def _code(item: HaystackItem) -> Any:
    """The answer; of two labels the place in the question, as either is there as often."""
    return item.question["labels"].index(item.answer) if "labels" in item.question else item.answer


def _asked(item: HaystackItem) -> str:
    return json.dumps({name: value for name, value in item.question.items() if name not in ("context", "regimes")})


def _learned(
    train: Sequence[HaystackItem], rest: Sequence[HaystackItem], seen: list[_Clues], new: list[_Clues]
) -> dict[str, list[Any]]:
    """What the baselines answer to questions that have few answers."""
    codes = [_code(item) for item in train]
    told = {"majority": _commonest([_asked(item) for item in train], codes, [_asked(item) for item in rest])}
    for name in seen[0].features:
        old, late = (np.stack([clue.features[name] for clue in clues]) for clues in (seen, new))
        told[name] = _best_feature(old, codes, late)
    return told


def _best_feature(old: np.ndarray, codes: list[Any], late: np.ndarray) -> list[Any]:
    """Answers by the one feature, cut at its eighths, that is right most often on the train items."""
    best: tuple[float, list[Any]] = (-1.0, [])
    for x, z in zip(old.T, late.T, strict=True):
        cuts = np.unique(np.quantile(x, np.arange(1, _BINS) / _BINS))
        bins, asked = np.searchsorted(cuts, x).tolist(), np.searchsorted(cuts, z).tolist()
        fit = _commonest(bins, codes, bins)
        right = float(np.mean([a == b for a, b in zip(fit, codes, strict=True)]))
        if right > best[0]:
            best = right, _commonest(bins, codes, asked)
    return best[1]


def _commonest(keys: Sequence[Any], codes: Sequence[Any], asked: Sequence[Any]) -> list[Any]:
    """The commonest code of each key that is asked for; that of all for a new key."""
    counts: dict[Any, Counter] = {}
    for key, code in zip(keys, codes, strict=True):
        counts.setdefault(key, Counter())[code] += 1
    general = Counter(codes).most_common(1)[0][0]
    usual = {key: count.most_common(1)[0][0] for key, count in counts.items()}
    return [usual.get(key, general) for key in asked]


def _guessed(train: Sequence[HaystackItem], rest: Sequence[HaystackItem], new: list[_Clues]) -> dict[str, list[Answer]]:
    """What the baselines answer where an interval is asked for."""
    spans = np.array([item.answer for item in train if item.answer is not None], dtype=float)
    middle, half = np.median(spans.mean(axis=1)), np.median(np.diff(spans, axis=1)) / 2
    told: dict[str, list[Answer]] = {name: [clue.guesses[name] for clue in new] for name in new[0].guesses}
    told["duration_prior"] = [[float(middle - half), float(middle + half)]] * len(rest)
    return {"majority": [None] * len(rest), **told}


def _clues(item: HaystackItem, usual: int) -> _Clues:
    x = item.render().astype(float)
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-12)
    rate = item.rate
    slow = x - _moving(x, min(max(round(10 * rate), 2 * usual), len(x)))
    powers = [_power(part) for part in (x, slow)]
    loud = [np.log(_windows(power, size) + 1e-9) for power in powers for size in (round(rate), usual)]
    energy: list[float] = [value for one in loud for value in _extremes(one)]
    steps = _steps(slow, max(round(_STEP * rate), 1))
    starts = np.array([edit.position for edit in item.edits], dtype=int)
    ends = starts + np.array([edit.n_times for edit in item.edits], dtype=int)
    edges = np.append(starts, ends)
    at = steps[np.clip(edges, 0, len(steps) - 1)]
    change = _changes(powers[1], edges, round(rate))
    edge: list[float] = [steps.max(), np.quantile(steps, 0.99), *_summary(at), *_summary(change)]
    lengths = (ends - starts) / rate
    prior: list[float] = [float(len(starts)), lengths.sum(), *_summary(lengths), *_summary(starts / len(x))]
    odd = int(np.abs(loud[3] - np.median(loud[3])).argmax())
    clearest = int(at.reshape(2, -1).sum(axis=0).argmax()) if len(starts) else None
    guesses = {
        "energy": [odd / rate, (odd + usual) / rate],
        "splice_edge": [starts[clearest] / rate, ends[clearest] / rate] if clearest is not None else [0.0, 0.0],
    }
    features = {"energy": energy, "splice_edge": edge, "duration_prior": prior}
    return _Clues({name: np.array(values, dtype=float) for name, values in features.items()}, guesses)


def _windows(x: np.ndarray, size: int) -> np.ndarray:
    """Means over all windows of `size` rows."""
    size = min(size, len(x))
    total = np.cumsum(np.concatenate([np.zeros_like(x[:1]), x]), axis=0)
    return (total[size:] - total[:-size]) / size


def _moving(x: np.ndarray, size: int) -> np.ndarray:
    """Mean around each row; at the ends that of the first and last window."""
    means = _windows(x, size)
    before = size // 2
    return np.pad(means, ((before, len(x) - len(means) - before), (0, 0)), mode="edge")


def _steps(x: np.ndarray, size: int) -> np.ndarray:
    """Distance between the means before and after each row, (n_times + 1,)."""
    padded = np.pad(x, ((size, size), (0, 0)), mode="edge")
    means = _windows(padded, size)
    return np.sqrt(_power(means[size:] - means[:-size]))


def _power(x: np.ndarray) -> np.ndarray:
    """Mean square of the channels at each row."""
    return np.einsum("ij,ij->i", x, x) / x.shape[1]


def _changes(power: np.ndarray, edges: np.ndarray, size: int) -> np.ndarray:
    """By how much the logarithm of the loudness differs after each edge from that before it."""
    pairs = [(power[max(edge - size, 0) : edge], power[edge : edge + size]) for edge in edges]
    return np.array(
        [abs(np.log(b.mean() + 1e-9) - np.log(a.mean() + 1e-9)) if len(a) and len(b) else 0 for a, b in pairs]
    )


def _extremes(x: np.ndarray) -> list[float]:
    low, middle, high = x.min(), np.median(x), x.max()
    return [low, high, x.mean(), low - middle, high - middle]


def _summary(x: np.ndarray) -> list[float]:
    return [x.min(), x.mean(), x.max()] if len(x) else [0.0, 0.0, 0.0]
