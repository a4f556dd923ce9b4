"""What answers questions about haystacks: tables of events, and one vector of the whole as a contrast."""

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from tsrec import LSSLEncoder, TCNCAEncoder
from tsrec.datasets import HAYSTACK_TASKS, HaystackItem, answer_question, make_haystack
from tsrec.retrieval import EventLocator, SubsequenceRetriever

ENCODERS = {"lssl": LSSLEncoder, "tcnca": TCNCAEncoder}
# Seconds of the windows.
SCALES = 0.64, 1.28, 2.56, 5.12
# Seconds of the items that are learned from, whatever the context that is asked about.
LEARNED = 100.0
TRAINING = {"crop": 256, "max_epochs": 200}
# Items of each task that encoders see.
_SEEN = 12
# Labels that a question says are there.
_GIVEN = {
    "localization": ("label",),
    "ordering": ("labels",),
    "state_query": ("label",),
    "antecedent": ("label",),
    "multi_hop": ("anchor", "label"),
}
# Seconds that are searched at a time.
_AT_A_TIME = 20_000.0
# Weight of what items have in common, whatever was asked, and of the penalty.
_COMMON, _PENALTY = 0.5, 0.3

Answerer = Callable[[Sequence[HaystackItem]], list[Any]]


class Examples:
    """Train items of all tasks, to learn from.

    Parameters
    ----------
    data : tuple of (DataFrame, DataFrame)
        Recordings and events.
    settings : dict
        Further arguments of `make_haystack`.
    count : int
        Items of each task.
    """

    def __init__(self, data: tuple[pd.DataFrame, pd.DataFrame], settings: dict[str, Any], count: int) -> None:
        self.data, self.settings = data, settings
        made = {
            task: make_haystack(*data, task=task, context=LEARNED, n_train=count, n_val=0, n_test=0, **settings).train
            for task in HAYSTACK_TASKS
        }
        items = {f"{task} {i}": one for task, mine in made.items() for i, one in enumerate(mine)}
        self.frames = {name: frame(one) for name, one in items.items()}
        self.seen = [self.frames[f"{task} {i}"].to_numpy() for task in made for i in range(min(count, _SEEN))]
        self.events = pd.concat([one.truth.assign(series=name) for name, one in items.items()])
        self.rate = next(iter(items.values())).rate


def frame(item: HaystackItem) -> pd.DataFrame:
    """The recording of an item, by its seconds."""
    values = item.render()
    return pd.DataFrame(values, index=pd.Index(np.arange(len(values)) / item.rate, name="time"))


def encoder(model: str, examples: Examples, seed: int, kept: Path | None) -> Any:
    """An encoder that has learned, without labels, on the items to learn from; or one that did so before."""
    if kept is not None and kept.exists():
        return pickle.loads(kept.read_bytes())
    fitted = ENCODERS[model](**TRAINING, random_state=seed).fit(examples.seen)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps(fitted))
    return fitted


def by_table(examples: Examples, fitted: Any, seed: int) -> Answerer:
    """Answers from the table of events that windows give."""
    grain = 4 / examples.rate
    scales = tuple(round(seconds / grain) * 4 for seconds in SCALES)
    retriever = SubsequenceRetriever(encoder=fitted, scales=scales, carry_state=True).fit(examples.frames)
    locator = EventLocator(retriever, background=False, random_state=seed).fit(examples.events)

    def answers(items: Sequence[HaystackItem]) -> list[Any]:
        found = []
        for some in _parts(items):
            # A fresh copy each time: what was answered need not be kept.
            own = copy.deepcopy(locator)
            own.retriever.partial_fit({f"item {i}": frame(one) for i, one in enumerate(some)})
            found += [
                answer_question(_table(own, f"item {i}", one.question), one.question) for i, one in enumerate(some)
            ]
        return found

    return answers


def by_truth(items: Sequence[HaystackItem]) -> list[Any]:
    """Answers from the true table."""
    return [answer_question(one.truth, one.question) for one in items]


def by_whole(examples: Examples, fitted: Any, task: str, context: float, count: int) -> Answerer:
    """Answers from one vector of the whole item, by kernel ridge regression learned from items of the same length."""
    train = make_haystack(
        *examples.data, task=task, context=context, n_train=count, n_val=0, n_test=0, **examples.settings
    ).train
    x, target, kinds = _pooled(fitted, train), *_targets(train)
    scale = StandardScaler().fit(x)

    def kernel(a: np.ndarray, one: Sequence[HaystackItem], b: np.ndarray, other: Sequence[HaystackItem]) -> np.ndarray:
        distance = ((a[:, None] - b[None]) ** 2).mean(-1)
        same = np.array([[_words(p.question) == _words(q.question) for q in other] for p in one])
        return np.exp(-distance / 2) * (_COMMON + (1 - _COMMON) * same)

    known = scale.transform(x)
    middle = target.mean(0)
    weights = np.linalg.solve(kernel(known, train, known, train) + _PENALTY * np.eye(len(train)), target - middle)

    def answers(items: Sequence[HaystackItem]) -> list[Any]:
        asked = scale.transform(_pooled(fitted, items))
        found = kernel(asked, items, known, train) @ weights + middle
        if kinds is not None:
            return [kinds[i] for i in found.argmax(1)]
        return [None if none > 0.5 else [low * context, high * context] for low, high, none in found]

    return answers


def _table(locator: EventLocator, name: str, question: dict[str, Any]) -> pd.DataFrame:
    """All events; where one that the question names is missing, the likeliest place of it too."""
    found = locator.table(where=name)
    named = [question[key] for key in _GIVEN.get(question["task"], ())]
    for label in [one for value in named for one in (value if isinstance(value, list) else [value])]:
        if label in locator.labels_ and not (found["label"] == label).any():
            found = pd.concat([found, locator.locate(label, k=1, where=name)], ignore_index=True)
    return found.drop(columns="series")


def _parts(items: Sequence[HaystackItem]) -> Iterator[Sequence[HaystackItem]]:
    size = max(int(_AT_A_TIME / items[0].context), 1)
    return (items[first : first + size] for first in range(0, len(items), size))


def _pooled(fitted: Any, items: Sequence[HaystackItem]) -> np.ndarray:
    """One vector for each item."""
    return np.concatenate([np.asarray(fitted.transform([one.render()])) for one in items])


def _targets(items: Sequence[HaystackItem]) -> tuple[np.ndarray, list[Any] | None]:
    """Answers as numbers: start, end and whether there is none, or one column for each kind of answer."""
    if items[0].question["answer"] == "interval":
        rows = [(0.0, 0.0, 1.0) if one.answer is None else (*one.answer, 0.0) for one in items]
        return np.array(rows) / [items[0].context, items[0].context, 1.0], None
    kinds = sorted({one.answer for one in items})
    return np.array([[one.answer == kind for kind in kinds] for one in items], dtype=float), kinds


def _words(question: dict[str, Any]) -> tuple[str, ...]:
    """What a question is about."""
    return tuple(
        str(question[key])
        for key in ("label", "labels", "anchor", "k", "direction", "of", "extremum")
        if key in question
    )
