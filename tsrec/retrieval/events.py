"""Find events by name in long recordings, once some examples are known."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators._parameters import check_flag, check_whole
from tsrec.retrieval._asked import named_series, open_rows
from tsrec.retrieval._event_rows import event_rows
from tsrec.retrieval._timeline import Opinion, evidence, most_likely, runs
from tsrec.retrieval.subsequence import SubsequenceRetriever

# Least and greatest probability that a label lasts for another step.
_STAY = 0.5, 1 - 1e-4
_LEAST_LOG = -20.0


class EventLocator(BaseEstimator):
    """Find named events in the series of a retriever, from examples of them.

    The vectors of the retriever's windows are told apart by a linear discriminant, one for each scale, learned from the
    windows inside the examples. Overlapping windows vote for each short step of time, and of all sequences of labels,
    each of which lasts about as long as in the examples, the most likely is the table of events, from which questions
    are answered: where, how often, what came before, which was the longest.

    Parameters
    ----------
    retriever : SubsequenceRetriever
        Fitted, with the series that hold the examples, and those to search.
    background : bool
        Whether what no example covers, in series with examples, is something else than all of them. If not, it is
        taken to be unknown, and every moment has one of the labels.
    n_windows : int
        Windows of a label that are learned from, at most.
    random_state : int, RandomState or None
        Which windows are taken where there are more.

    Attributes
    ----------
    labels_ : array
        The labels.
    durations_ : array
        Mean duration of each in the examples, in rows.

    See Also
    --------
    tsrec.datasets.make_haystack : Questions about long recordings to try it on.

    References
    ----------
    Ledoit and Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices. Viterbi (1967),
    Error bounds for convolutional codes and an asymptotically optimum decoding algorithm.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal(6000)
    >>> for start in (1000, 3000, 5000):
    ...     x[start : start + 300] += 3 * np.sin(np.arange(300) / 2)
    >>> retriever = SubsequenceRetriever(scales=(64,)).fit(pd.Series(x))
    >>> events = pd.DataFrame({"start": [1000, 3000], "end": [1300, 3300], "label": "hum"})
    >>> locator = EventLocator(retriever).fit(events)
    >>> locator.count("hum"), locator.exists("hum", time_range=(3400, 6000))
    (3, True)
    """

    def __init__(
        self,
        retriever: SubsequenceRetriever | None = None,
        *,
        background: bool = True,
        n_windows: int = 2000,
        random_state: Any = None,
    ) -> None:
        self.retriever = retriever
        self.background = background
        self.n_windows = n_windows
        self.random_state = random_state

    def fit(self, events: pd.DataFrame, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Learn what events look like.

        Parameters
        ----------
        events : DataFrame
            Columns start, end (excluded) and label, and series where the retriever has several.
        y : None
            Not used.

        Returns
        -------
        self
        """
        check_flag(self, "background")
        check_whole(self, "n_windows", least=2)
        if not isinstance(self.retriever, SubsequenceRetriever):
            raise TypeError(f"retriever: found {type(self.retriever).__name__}. Give a SubsequenceRetriever.")
        check_is_fitted(self.retriever)
        contents, windows = self.retriever._contents, self.retriever._windows_of_all()
        examples = event_rows(events, contents.labels, contents.times, contents.corpus.lengths)
        self.labels_ = examples.labels
        self.durations_ = examples.durations()
        rng = np.random.default_rng(self.random_state)
        self._judges: dict[int, Any] = {}
        for scale in windows.scales:
            _, series, rows = windows.of(scale)
            label = examples.of_windows(series, rows, scale, rest=self.background)
            chosen = _chosen(label, self.n_windows, rng)
            if len(np.unique(label[chosen])) > 1:
                judge = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
                known = np.unique(label[chosen])
                judge.set_params(priors=np.full(len(known), 1 / len(known)))
                self._judges[scale] = judge.fit(windows.features(contents.corpus, scale, chosen), label[chosen])
        if not self._judges:
            raise ValueError(
                f"events: no window of {windows.scales} rows lies in them and another elsewhere, so that nothing can "
                "be told apart. Give longer events, more labels, or a retriever with shorter scales."
            )
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Whether labels are known."""
        return hasattr(self, "_judges")

    def table(self, *, where: Any = None, time_range: tuple[Any, Any] | None = None) -> pd.DataFrame:
        """Tell all events.

        Parameters
        ----------
        where : list of names, dict or callable, optional
            Series, as in `SubsequenceRetriever.locate`; all when omitted.
        time_range : (start, end), optional
            Only what lies within, cut off at its ends; either may be None.

        Returns
        -------
        DataFrame
            series, start, end (excluded), label, score: the mean probability of the label in its steps, each taken by
            itself. By series and time; what is none of the labels is left out.
        """
        check_is_fitted(self)
        parts = [self._events(*found) for found in self._evidence(where, time_range)]
        frame = pd.concat(parts, ignore_index=True) if parts else self._frame(0, *(np.empty(0, int),) * 3, np.empty(0))
        return frame[["series", "start", "end", "label", "score"]]

    def locate(
        self, label: Any, *, k: int | None = None, where: Any = None, time_range: tuple[Any, Any] | None = None
    ) -> pd.DataFrame:
        """Find the events of a label.

        Parameters
        ----------
        label : str or other
            One of ``labels_``.
        k : int, optional
            How many at most. If the table of events has none, the likeliest interval as long as such an event is
            answered all the same; its score is low.
        where, time_range
            As in `table`.

        Returns
        -------
        DataFrame
            As `table`, best first.
        """
        number = self._number(label)
        found = self.table(where=where, time_range=time_range)
        found = found[found["label"] == self.labels_[number]]
        if k is not None and not len(found):
            found = self._likeliest(number, where, time_range)
        return found.sort_values("score", ascending=False, kind="stable").head(k).reset_index(drop=True)

    def exists(self, label: Any, **asked: Any) -> bool:
        """Whether there is an event of a label.

        Parameters
        ----------
        label : str or other
            One of ``labels_``.
        **asked
            ``where`` and ``time_range`` as in `table`.

        Returns
        -------
        bool
        """
        return len(self.locate(label, **asked)) > 0

    def count(self, label: Any, **asked: Any) -> int:
        """Count the events of a label.

        Parameters
        ----------
        label : str or other
            One of ``labels_``.
        **asked
            ``where`` and ``time_range`` as in `table`.

        Returns
        -------
        int
        """
        return len(self.locate(label, **asked))

    def order(self, labels: Any, **asked: Any) -> list[Any]:
        """Labels in the order in which the best event of each begins.

        Parameters
        ----------
        labels : sequence
            Which ones.
        **asked
            ``where`` and ``time_range`` as in `table`.

        Returns
        -------
        list
            Those that there are.
        """
        best = {label: self.locate(label, **asked) for label in labels}
        return sorted((label for label in best if len(best[label])), key=lambda label: best[label]["start"].iloc[0])

    def label_at(self, time: Any, **asked: Any) -> Any:
        """Label of the event that covers a time.

        Parameters
        ----------
        time : time
            In the index of the series.
        **asked
            ``where`` and ``time_range`` as in `table`.

        Returns
        -------
        str or other
            None where there is none.
        """
        found = self.table(**asked)
        inside = found[(found["start"] <= time) & (found["end"] > time)]
        return inside["label"].iloc[0] if len(inside) else None

    def before(self, label: Any, **asked: Any) -> Any:
        """Label of the last event that ends before the best one of a label begins, in its series.

        Parameters
        ----------
        label : str or other
            One of ``labels_``.
        **asked
            ``where`` and ``time_range`` as in `table`.

        Returns
        -------
        str or other
            None where there is none.
        """
        best = self.locate(label, k=1, **asked).iloc[0]
        found = self.table(**asked)
        earlier = found[(found["series"] == best["series"]) & (found["end"] <= best["start"])]
        return earlier.sort_values("end", kind="stable")["label"].iloc[-1] if len(earlier) else None

    def after(self, label: Any, anchor: Any, *, k: int = 1, **asked: Any) -> pd.DataFrame:
        """Give the k-th event of a label that begins after the best one of another label, in its series.

        Parameters
        ----------
        label, anchor : str or other
            Of ``labels_``.
        k : int, default 1
            Which one; -1 is the last before the anchor, and so on.
        **asked
            ``where`` and ``time_range`` as in `table`.

        Returns
        -------
        DataFrame
            As `table`, one row, or none.
        """
        best = self.locate(anchor, k=1, **asked).iloc[0]
        found = self.table(**asked)
        found = found[(found["label"] == label) & (found["series"] == best["series"])].sort_values("start")
        side = found[found["start"] >= best["end"]] if k > 0 else found[found["end"] <= best["start"]].iloc[::-1]
        return side.iloc[abs(k) - 1 : abs(k)].reset_index(drop=True)

    def longest(self, label: Any, **asked: Any) -> pd.DataFrame:
        """Give the longest event of a label.

        Parameters
        ----------
        label : str or other
            One of ``labels_``.
        **asked
            ``where`` and ``time_range`` as in `table`.

        Returns
        -------
        DataFrame
            As `table`, one row, or none.
        """
        return self._extreme(label, ascending=False, **asked)

    def shortest(self, label: Any, **asked: Any) -> pd.DataFrame:
        """Give the shortest event of a label.

        Parameters
        ----------
        label : str or other
            One of ``labels_``.
        **asked
            ``where`` and ``time_range`` as in `table`.

        Returns
        -------
        DataFrame
            As `table`, one row, or none.
        """
        return self._extreme(label, ascending=True, **asked)

    def _extreme(self, label: Any, *, ascending: bool, **asked: Any) -> pd.DataFrame:
        found = self.locate(label, **asked)
        order = (found["end"] - found["start"]).sort_values(ascending=ascending, kind="stable").index
        return found.loc[order[:1]].reset_index(drop=True)

    def _number(self, label: Any) -> int:
        check_is_fitted(self)
        found = np.flatnonzero(self.labels_ == label)
        if not len(found):
            raise ValueError(f"label: found {label!r}, the examples have {self.labels_.tolist()}.")
        return int(found[0])

    def _evidence(self, where: Any, time_range: Any) -> Iterator[tuple[int, int, np.ndarray]]:
        """Number of each series, the first row that counts, and log likelihoods of labels in its steps."""
        contents, windows = self.retriever._contents, self.retriever._windows_of_all()  # type: ignore[union-attr]
        kept = None if where is None else named_series(where, contents.labels, contents.metadata)
        low, high = open_rows(contents.times, contents.corpus.lengths, kept, time_range)
        for number in np.flatnonzero(high > low):
            opinions = []
            for scale, judge in self._judges.items():
                _, series, rows = windows.of(scale)
                mine = np.flatnonzero((series == number) & (rows >= low[number]) & (rows + scale <= high[number]))
                if len(mine):
                    said = self._said(judge, windows.features(contents.corpus, scale, mine))
                    opinions.append(Opinion(scale, rows[mine] - low[number], said))
            if opinions:
                length = int(high[number] - low[number])
                yield int(number), int(low[number]), evidence(opinions, length, self._grain())

    def _grain(self) -> int:
        return min(self.retriever._contents.steps.values())  # type: ignore[union-attr]

    def _said(self, judge: Any, vectors: np.ndarray) -> np.ndarray:
        """Logarithms of what a judge says of all labels; of those that it does not know, the mean."""
        known = np.maximum(judge.predict_log_proba(vectors), _LEAST_LOG)
        found = np.repeat(known.mean(1, keepdims=True), len(self.labels_) + self.background, axis=1)
        found[:, judge.classes_] = known
        return found

    def _stay(self) -> np.ndarray:
        steps = np.append(self.durations_, [self.durations_.max() * 10] * self.background) / self._grain()
        return np.clip(1 - 1 / np.maximum(steps, 1.0), *_STAY)

    def _events(self, number: int, low: int, likelihood: np.ndarray) -> pd.DataFrame:
        path = most_likely(likelihood, self._stay())
        chance = np.exp(likelihood - likelihood.max(1, keepdims=True))
        chance /= chance.sum(1, keepdims=True)
        first, last, label = runs(path)
        total = np.append(0.0, np.cumsum(chance[np.arange(len(path)), path]))
        score = (total[last] - total[first]) / (last - first)
        known = label < len(self.labels_)
        return self._frame(
            number, low + first[known] * self._grain(), low + last[known] * self._grain(), label[known], score[known]
        )

    def _frame(
        self, number: int, first: np.ndarray, last: np.ndarray, label: np.ndarray, score: np.ndarray
    ) -> pd.DataFrame:
        contents = self.retriever._contents  # type: ignore[union-attr]
        series = np.full(len(first), number)
        last = np.minimum(last, contents.corpus.lengths[number])
        return pd.DataFrame(
            {
                "series": contents.labels[series],
                "start": contents.times.at(series, first),
                "end": contents.times.at(series, last),
                "label": self.labels_[label],
                "score": score,
            }
        )

    def _likeliest(self, label: int, where: Any, time_range: Any) -> pd.DataFrame:
        """The interval of a label's mean duration in which it is likeliest, whatever the rest is."""
        parts = []
        for number, low, likelihood in self._evidence(where, time_range):
            size = min(max(round(self.durations_[label] / self._grain()), 1), len(likelihood))
            own = likelihood[:, label] - likelihood.max(1)
            total = np.append(0.0, np.cumsum(own))
            mean = (total[size:] - total[:-size]) / size
            best = np.array([int(mean.argmax())])
            ends = low + (best + size) * self._grain()
            parts.append(
                self._frame(
                    number, low + best * self._grain(), ends, np.array([label]), np.exp(mean[best]) / len(self.labels_)
                )
            )
        return pd.concat(parts, ignore_index=True) if parts else self.table(where=where, time_range=time_range)


def _chosen(label: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Windows to learn from: all of a label, or as many as are allowed, by chance."""
    parts = []
    for one in np.unique(label[label >= 0]):
        mine = np.flatnonzero(label == one)
        parts.append(mine if len(mine) <= most else np.sort(rng.choice(mine, most, replace=False)))
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
