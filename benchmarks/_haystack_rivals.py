"""What else finds a label in a haystack: exact matches of prototypes, and neighbours by statistics of windows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from _haystack_models import Answerer, Examples, frame
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from tsrec.datasets import HaystackItem
from tsrec.retrieval import SubsequenceRetriever

# Seconds of a needle: both know how long what they look for is.
_NEEDLE = 5.0
# Windows begin at every so many of a needle's length, and as many of a label are learned from at most as by locators.
_STRIDE, _MOST = 0.125, 4000
# Share of a window that its label covers at least, to learn from it.
_PURE = 0.8
_NEIGHBORS = 5


def by_prototypes(examples: Examples, count: int, seed: int) -> Answerer:
    """Where any of some examples of the label has its exact z-normalised match (MASS), nearest of all.

    Parameters
    ----------
    examples : Examples
        What is learned from.
    count : int
        Examples of each label, those inserted into items of localization.
    seed : int
        Which ones.
    """
    rows, rng = round(_NEEDLE * examples.rate), np.random.default_rng(seed)
    events = examples.events
    needles = events[(events["end"] - events["start"] - _NEEDLE).abs() < 1 / examples.rate]
    known: dict[Any, list[pd.DataFrame]] = {}
    for label, mine in needles.groupby("label"):
        chosen = mine.iloc[rng.permutation(len(mine))[:count]]
        known[label] = [
            examples.frames[one.series].iloc[round(one.start * examples.rate) :][:rows].reset_index(drop=True)
            for one in chosen.itertuples()
        ]

    def answer(item: HaystackItem) -> list[float] | None:
        if not known.get(item.question["label"]):
            return None
        searched = SubsequenceRetriever(scales=(rows,)).fit(frame(item))
        best = searched.locate(known[item.question["label"]], k=1).sort_values("distance", kind="stable")
        return best[["start", "end"]].iloc[0].astype(float).tolist()

    return lambda items: [answer(one) for one in items]


def by_statistics(examples: Examples, seed: int) -> Answerer:
    """Where windows of the label are near and windows of others far, by statistics of every channel.

    The ratio of the distances to the fifth nearest of either is least there.
    """
    rng = np.random.default_rng(seed)
    told, labels = zip(*(_labelled(examples, name) for name in examples.frames), strict=True)
    x, label = np.concatenate(told), np.concatenate(labels)
    scale = StandardScaler().fit(x)
    chosen = {
        one: rng.permutation(np.flatnonzero(label == one))[:_MOST] for one in np.unique(label[label != ""]).tolist()
    }
    near = {one: NearestNeighbors(n_neighbors=_NEIGHBORS).fit(scale.transform(x[mine])) for one, mine in chosen.items()}

    def answer(item: HaystackItem) -> list[float] | None:
        if item.question["label"] not in near:
            return None
        starts, mine = _told(item.render(), item.rate)
        mine = scale.transform(mine)
        away = {one: known.kneighbors(mine)[0][:, -1] for one, known in near.items()}
        own = away.pop(item.question["label"])
        first = starts[int((own / np.min(list(away.values()), axis=0)).argmin())] / item.rate
        return [first, first + _NEEDLE]

    return lambda items: [answer(one) for one in items]


def _labelled(examples: Examples, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Statistics of the windows of an item, and the label of each; "" where none covers it."""
    starts, told = _told(examples.frames[name].to_numpy(), examples.rate)
    low, label = starts / examples.rate, np.full(len(starts), "", dtype=object)
    for one in examples.events[examples.events["series"] == name].itertuples():
        shared = np.minimum(low + _NEEDLE, one.end) - np.maximum(low, one.start)
        label[shared >= _PURE * _NEEDLE] = one.label
    return told, label


def _told(values: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """First rows of windows, and ten statistics of every channel of each."""
    rows = round(_NEEDLE * rate)
    starts = np.arange(0, len(values) - rows + 1, max(round(rows * _STRIDE), 1))
    parts: list[np.ndarray] = []
    for channel in values.T:
        x = np.lib.stride_tricks.sliding_window_view(channel.astype(np.float64), rows)[starts]
        off = x - x.mean(1, keepdims=True)
        spread = np.sqrt((off**2).mean(1)) + 1e-12
        unit = off / spread[:, None]
        low, middle, high = np.quantile(unit, [0.1, 0.5, 0.9], axis=1)
        crossing = (unit[:, 1:] * unit[:, :-1] < 0).mean(1)
        parts += [x.mean(1), np.log(spread), low, middle, high, (unit**3).mean(1), np.log((unit**4).mean(1))]
        parts += [crossing, np.log(np.abs(np.diff(unit, axis=1)).mean(1) + 1e-12), (unit[:, 1:] * unit[:, :-1]).mean(1)]
    return starts, np.stack(parts, axis=1)


def only_localizes(tasks: Sequence[str]) -> None:
    """Refuse questions that these do not answer."""
    others = [task for task in tasks if task != "localization"]
    if others:
        raise SystemExit(f"--tasks: prototypes and statistics answer localization only, not {', '.join(others)}.")
