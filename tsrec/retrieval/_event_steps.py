"""What the windows around short steps of time say of labels: one discriminant on all scales at once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tsrec.retrieval._corpus import Corpus
from tsrec.retrieval._windows import Windows

# Steps that are judged at a time.
_AT_A_TIME = 1 << 15
# However sure a discriminant is, a step says no more than this: what it has never seen must not decide alone.
_LEAST_LOG = -14.0
# What a discriminant says is said by these.
_LEARNED = ("classes_", "coef_", "intercept_", "n_features_in_")


class SeriesSteps(NamedTuple):
    """Steps of one series, from a row on.

    Attributes
    ----------
    series : int
        Number of the series.
    low, high : int
        Rows that windows may cover, the end excluded.
    grain : int
        Rows of a step.
    """

    series: int
    low: int
    high: int
    grain: int

    def __len__(self) -> int:
        return -(-(self.high - self.low) // self.grain)

    def middles(self) -> np.ndarray:
        """Rows in the middle of the steps, int64 (n_steps,)."""
        return self.low + np.arange(len(self)) * self.grain + self.grain // 2


class Around(NamedTuple):
    """For each step of a series, the numbers of the windows around it, of the scales that the series has.

    Attributes
    ----------
    scales : list of int
        Ascending.
    windows : list of int64 arrays of shape (n_steps,)
        Of each scale the window whose middle is nearest.
    covered : bool array of shape (n_steps,)
        Whether any of them has samples of the step.
    """

    scales: list[int]
    windows: list[np.ndarray]
    covered: np.ndarray


def windows_around(windows: Windows, steps: SeriesSteps) -> Around:
    """Find the windows around each step, whole and within the rows that count.

    Parameters
    ----------
    windows : Windows
        Of all series.
    steps : SeriesSteps
        Of one.

    Returns
    -------
    Around
        Without scales that have no window there, and all longer ones.
    """
    middles, scales, chosen = steps.middles(), [], []
    covered = np.zeros(len(steps), dtype=bool)
    for scale in windows.scales:
        _, series, rows = windows.of(scale)
        mine = np.flatnonzero((series == steps.series) & (rows >= steps.low) & (rows + scale <= steps.high))
        if not len(mine):
            break
        mine = mine[np.argsort(rows[mine], kind="stable")]
        first = rows[mine]
        after = np.minimum(np.searchsorted(first + scale / 2, middles), len(mine) - 1)
        before = np.maximum(after - 1, 0)
        nearer = np.abs(first[before] + scale / 2 - middles) <= np.abs(first[after] + scale / 2 - middles)
        best = np.where(nearer, before, after)
        scales.append(scale)
        chosen.append(mine[best])
        covered |= (first[best] - steps.grain < middles) & (middles < first[best] + scale + steps.grain)
    return Around(scales, chosen, covered)


class StepJudge:
    """Linear discriminants that tell labels of steps from the windows around them.

    There is one for the shortest scale, one for the two shortest, and so on, as short series have no long windows.

    Parameters
    ----------
    n_labels : int
        How many labels there are.
    """

    def __init__(self, n_labels: int) -> None:
        self.n_labels = n_labels
        self.judges: dict[int, LinearDiscriminantAnalysis] = {}

    def fit(
        self,
        data: tuple[Windows, Corpus],
        steps: Sequence[SeriesSteps],
        labels: Sequence[np.ndarray],
        most: int,
        rng: np.random.Generator,
    ) -> None:
        """Learn from steps of series.

        Parameters
        ----------
        data : tuple of (Windows, Corpus)
            Windows of all series, and the series.
        steps : sequence of SeriesSteps
            Of series with examples.
        labels : sequence of int64 arrays of shape (n_steps,)
            Number of the label of each step, -1 where it is not known.
        most : int
            Steps of a label to learn from, at most.
        rng : Generator
            Which ones, where there are more.
        """
        around = [windows_around(data[0], one) for one in steps]
        for count in range(1, len(data[0].scales) + 1):
            fitting = [i for i, one in enumerate(around) if len(one.scales) >= count]
            if not fitting:
                break
            label = np.concatenate([np.where(around[i].covered, labels[i], -1) for i in fitting])
            numbers = [np.concatenate([around[i].windows[place] for i in fitting]) for place in range(count)]
            chosen = _chosen(label, most, rng)
            known = np.unique(label[chosen])
            if len(known) > 1:
                judge = LinearDiscriminantAnalysis(
                    solver="lsqr", shrinkage="auto", priors=np.full(len(known), 1 / len(known))
                )
                self.judges[count] = judge.fit(_features(data, [one[chosen] for one in numbers]), label[chosen])

    def learned(self) -> dict[str, Any]:
        """What was learned, as plain values."""
        judges = {str(count): {name: getattr(one, name) for name in _LEARNED} for count, one in self.judges.items()}
        return {"n_labels": self.n_labels, "judges": judges}

    @classmethod
    def of(cls, learned: dict[str, Any]) -> "StepJudge":
        """One that has learned that."""
        made = cls(learned["n_labels"])
        for count, values in learned["judges"].items():
            made.judges[int(count)] = LinearDiscriminantAnalysis(solver="lsqr")
            vars(made.judges[int(count)]).update(values)
        return made

    def said(self, data: tuple[Windows, Corpus], steps: SeriesSteps) -> np.ndarray | None:
        """Log probabilities of labels in each step by itself.

        Parameters
        ----------
        data : tuple of (Windows, Corpus)
            Windows of all series, and the series.
        steps : SeriesSteps
            Of one series.

        Returns
        -------
        float64 array of shape (n_steps, n_labels) or None
            Labels that a discriminant does not know have the mean of the others. Equal where no window lies; None where
            none lies at all.
        """
        around = windows_around(data[0], steps)
        count = max((one for one in self.judges if one <= len(around.scales)), default=0)
        if not count:
            return None
        judge = self.judges[count]
        found = np.empty((len(steps), self.n_labels))
        for first in range(0, len(steps), _AT_A_TIME):
            some = slice(first, first + _AT_A_TIME)
            vectors = _features(data, [one[some] for one in around.windows[:count]])
            known = np.maximum(judge.predict_log_proba(vectors), _LEAST_LOG)
            found[some] = known.mean(1, keepdims=True)
            found[some, judge.classes_] = known
        found[~around.covered] = -np.log(self.n_labels)
        return found


def _features(data: tuple[Windows, Corpus], numbers: Sequence[np.ndarray]) -> np.ndarray:
    """Features of windows of the first scales, side by side, (n, any number)."""
    windows, corpus = data
    parts = []
    for scale, chosen in zip(windows.scales, numbers, strict=False):
        # Neighbouring steps share a window of a long scale.
        every, place = np.unique(chosen, return_inverse=True)
        parts.append(windows.features(corpus, scale, every)[place])
    return np.concatenate(parts, axis=1)


def _chosen(label: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Steps to learn from: all of a label, or as many as are allowed, by chance."""
    parts = []
    for one in np.unique(label[label >= 0]):
        mine = np.flatnonzero(label == one)
        parts.append(mine if len(mine) <= most else np.sort(rng.choice(mine, most, replace=False)))
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
