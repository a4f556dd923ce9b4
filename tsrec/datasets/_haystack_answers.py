"""Answers to the ten questions from a table of events, and how answers are scored."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsrec.datasets._haystack_item import Answer, HaystackItem

_HIT = 0.5


def answer_question(events: pd.DataFrame, question: Mapping[str, Any]) -> Answer:
    """Answer the question of an item from a table of events, the true one or what a search found.

    Parameters
    ----------
    events : DataFrame
        Columns start, end (seconds, end excluded) and label; with a column score, the best of a label stands for it
        where one is asked for, else the first.
    question : dict
        Question of a `HaystackItem`.

    Returns
    -------
    answer : bool, int, str, list of two floats, or None
        None where the table does not say.

    See Also
    --------
    score_answers : Compare answers with what is true.

    Notes
    -----
    The state around a needle is the event that covers its middle, else the last one that began before it. What came
    before a label is the last event that ended by its start (0.05 s are forgiven), the background left aside: the label
    that is there for the longest. An anomaly is an event whose regime is not that of the background.

    Examples
    --------
    >>> import pandas as pd
    >>> from tsrec.datasets import answer_question
    >>> events = pd.DataFrame({"start": [0.0, 4.0, 6.0], "end": [4.0, 6.0, 9.0], "label": ["sit", "jump", "sit"]})
    >>> answer_question(events, {"task": "localization", "answer": "interval", "label": "jump", "context": 9.0})
    [4.0, 6.0]
    """
    rows = events.sort_values(["start", "end"], kind="stable").reset_index(drop=True)
    return _ANSWERS[question["task"]](rows, question)


def score_answers(items: Sequence[HaystackItem], answers: Sequence[Any]) -> pd.DataFrame:
    """Score answers by task and context.

    Parameters
    ----------
    items : sequence of HaystackItem
        Items of any tasks and contexts.
    answers : sequence
        An answer for each item: a bool, int or label that must be the true one, or an interval (start, end) in
        seconds, right when it overlaps the true one by IoU >= 0.5. None is right where there is no interval only.

    Returns
    -------
    scores : DataFrame
        Columns task, context (seconds), n, accuracy, and iou: the mean overlap where an interval is true, 0 for None
        and NaN for other tasks.

    Raises
    ------
    ValueError
        If there are not as many answers as items.

    See Also
    --------
    answer_question : Answers from a table of events.

    Examples
    --------
    >>> from tsrec.datasets import make_haystack, make_recordings, score_answers
    >>> recordings, events = make_recordings(12, seconds=240, rate=20, random_state=0)
    >>> _, _, test = make_haystack(
    ...     recordings, events, task="existence", context=60, needle=3, n_train=0, n_val=0, n_test=4
    ... )
    >>> score_answers(test, [True] * 4)
            task  context  n  accuracy  iou
    0  existence     60.0  4       0.5  NaN
    """
    if len(items) != len(answers):
        raise ValueError(f"answers: got {len(answers)} for {len(items)} items. Pass one for each.")
    rows = [(item.task, item.context, *_score(item, answer)) for item, answer in zip(items, answers, strict=True)]
    frame = pd.DataFrame(rows, columns=["task", "context", "correct", "iou"])
    grouped = frame.groupby(["task", "context"], sort=False)
    table = grouped.agg(n=("correct", "size"), accuracy=("correct", "mean"), iou=("iou", "mean"))
    return table.reset_index()


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Length of what two intervals share over that of what they cover (IoU)."""
    shared = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    covered = (one[1] - one[0]) + (other[1] - other[0]) - shared
    return shared / covered if covered > 0 else 0.0


def _score(item: HaystackItem, answer: Any) -> tuple[bool, float]:
    if item.question["answer"] == "interval":
        if item.answer is None or answer is None:
            return item.answer is None and answer is None, float("nan") if item.answer is None else 0.0
        shared = overlap(answer, item.answer)  # type: ignore[arg-type]
        return shared >= _HIT, shared
    kinds = {"bool": bool | np.bool_, "int": int | np.integer, "label": str}
    is_kind = isinstance(answer, kinds[item.question["answer"]])
    # True is an int too, but it counts nothing.
    told = is_kind and not (item.question["answer"] == "int" and isinstance(answer, bool))
    return bool(told and answer == item.answer), float("nan")


def choices(rows: pd.DataFrame, question: Mapping[str, Any]) -> np.ndarray:
    """What a comparison compares: bouts of a label, or the gaps between them and to both edges; (n, 2) in seconds."""
    mine = _of(rows, question["label"])[["start", "end"]].to_numpy(float)
    if question["of"] == "with":
        return mine
    gaps = np.column_stack([np.append(0.0, mine[:, 1]), np.append(mine[:, 0], question["context"])])
    return gaps[gaps[:, 1] > gaps[:, 0]]


def _of(rows: pd.DataFrame, label: str) -> pd.DataFrame:
    return rows[rows["label"] == label]


def _best(rows: pd.DataFrame) -> pd.Series | None:
    if rows.empty:
        return None
    return rows.loc[rows["score"].idxmax()] if "score" in rows else rows.iloc[0]


def _interval(row: pd.Series | None) -> list[float] | None:
    return None if row is None else [float(row["start"]), float(row["end"])]


def _ordering(rows: pd.DataFrame, question: Mapping[str, Any]) -> str | None:
    found = [(row["start"], label) for label in question["labels"] if (row := _best(_of(rows, label))) is not None]
    return min(found)[1] if found else None


def _state(rows: pd.DataFrame, question: Mapping[str, Any]) -> str | None:
    hit = _best(_of(rows, question["label"]))
    if hit is None:
        return None
    others = rows[rows["label"] != question["label"]]
    middle = (hit["start"] + hit["end"]) / 2
    around = others[(others["start"] <= middle) & (middle < others["end"])]
    if around.empty:
        around = others[others["start"] < hit["start"]].tail(1)
    row = _best(around)
    return None if row is None else str(row["label"])


def _background(rows: pd.DataFrame) -> str:
    return str((rows["end"] - rows["start"]).groupby(rows["label"]).sum().idxmax())


def _antecedent(rows: pd.DataFrame, question: Mapping[str, Any]) -> str | None:
    hit = _best(_of(rows, question["label"]))
    if hit is None:
        return None
    ended = rows[(rows["end"] <= hit["start"] + 0.05) & (rows["label"] != _background(rows))]
    return None if ended.empty else str(ended.loc[ended["end"].idxmax(), "label"])


def _comparison(rows: pd.DataFrame, question: Mapping[str, Any]) -> list[float] | None:
    found = choices(rows, question)
    if not len(found):
        return None
    length = found[:, 1] - found[:, 0]
    best = found[length.argmax() if question["extremum"] == "longest" else length.argmin()]
    return [float(best[0]), float(best[1])]


def _multi_hop(rows: pd.DataFrame, question: Mapping[str, Any]) -> list[float] | None:
    anchor = _best(_of(rows, question["anchor"]))
    if anchor is None:
        return None
    mine = _of(rows, question["label"])
    if question["direction"] == "after":
        side = mine[mine["start"] >= anchor["start"]]
    else:
        side = mine[mine["start"] < anchor["start"]].iloc[::-1]
    return _interval(side.iloc[question["k"] - 1]) if len(side) >= question["k"] else None


def _anomalies(rows: pd.DataFrame, question: Mapping[str, Any]) -> pd.DataFrame:
    if rows.empty:
        return rows
    regimes = rows["label"].map(question["regimes"])
    return rows[regimes != question["regimes"][_background(rows)]]


_ANSWERS = {
    "existence": lambda rows, question: not _of(rows, question["label"]).empty,
    "localization": lambda rows, question: _interval(_best(_of(rows, question["label"]))),
    "counting": lambda rows, question: len(_of(rows, question["label"])),
    "ordering": _ordering,
    "state_query": _state,
    "antecedent": _antecedent,
    "comparison": _comparison,
    "multi_hop": _multi_hop,
    "anomaly_detection": lambda rows, question: not _anomalies(rows, question).empty,
    "anomaly_localization": lambda rows, question: _interval(_best(_anomalies(rows, question))),
}
