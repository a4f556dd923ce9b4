"""Find events by name in long recordings, once some examples are known."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators._parameters import check_flag, check_whole
from tsrec.retrieval._asked import named_series, open_rows, whole_number
from tsrec.retrieval._event_rows import EventRows, event_rows
from tsrec.retrieval._event_steps import SeriesSteps, StepJudge
from tsrec.retrieval._questions import EventQuestions
from tsrec.retrieval._timeline import likeliest_run, most_likely, runs
from tsrec.retrieval._unusual import unusual_windows
from tsrec.retrieval.subsequence import SubsequenceRetriever

# Least and greatest probability that a label lasts for another step.
_STAY = 0.5, 1 - 1e-4


class EventLocator(EventQuestions):
    """Find named events in the series of a retriever, from examples of them.

    Each short step of time is described by the retriever's windows around it, one of each scale, and a linear
    discriminant learned from the examples says how likely its labels are: the steps next to a border have learned what
    long windows see across it. Of all sequences of labels, each of which lasts about as long as in the examples, and
    not less than half as long as three in four of them, the most likely is the table of events, from which questions
    are answered: where, how often, what came before, which was the longest.

    Parameters
    ----------
    retriever : SubsequenceRetriever
        Fitted, with the series that hold the examples, and those to search.
    background : bool
        Whether what no example covers, in series with examples, is something else than all of them. If not, it is
        taken to be unknown, and every moment has one of the labels.
    n_windows : int
        Steps of a label, with the windows around them, that are learned from at most.
    random_state : int, RandomState or None
        Which steps are taken where there are more.

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
        n_windows: int = 4000,
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
        self._check_retriever()
        contents, windows = self.retriever._contents, self.retriever._windows_of_all()  # type: ignore[union-attr]
        examples = event_rows(events, contents.labels, contents.times, contents.corpus.lengths)
        self.labels_ = examples.labels
        self.durations_ = examples.durations()
        self._usual = examples.usual()
        rng = np.random.default_rng(self.random_state)
        self._encoder_mark = self.retriever._known.mark  # type: ignore[union-attr]
        steps = [
            SeriesSteps(int(n), 0, int(contents.corpus.lengths[n]), self._grain()) for n in np.unique(examples.series)
        ]
        known = [self._known(examples, one) for one in steps]
        self._judge = StepJudge(len(self.labels_) + self.background)
        self._judge.fit((windows, contents.corpus), steps, known, self.n_windows, rng)
        if not self._judge.judges:
            raise ValueError(
                f"events: no window of {windows.scales} rows lies in them and another elsewhere, so that nothing can "
                "be told apart. Give longer events, more labels, or a retriever with shorter scales."
            )
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Whether labels are known."""
        return hasattr(self, "_judge")

    def _held(self) -> dict[str, Any] | None:
        """What is learned and no attribute of its own, for ``tsrec.save``."""
        if not self.__sklearn_is_fitted__():
            return None
        return {**self._judge.learned(), "usual": self._usual, "encoder": self._encoder_mark}

    def _hold(self, held: dict[str, Any]) -> None:
        """Take up what `_held` gave."""
        self._judge, self._usual, self._encoder_mark = StepJudge.of(held), held["usual"], held["encoder"]

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
        parts = [self._events(*found) for found in self._judged(where, time_range)]
        frame = (
            pd.concat(parts, ignore_index=True)
            if parts
            else self._frame(SeriesSteps(0, 0, 0, 1), *(np.empty(0, int),) * 3, np.empty(0))
        )
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
            How many at most. If the table of events has none, one is answered all the same for each series: that of
            the likeliest sequence with such an event, as long as three of four examples are at least. Its score is low.
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

    def _check_retriever(self) -> None:
        if not isinstance(self.retriever, SubsequenceRetriever):
            raise TypeError(f"retriever: found {type(self.retriever).__name__}. Give a SubsequenceRetriever.")
        check_is_fitted(self.retriever)

    def anomalies(self, k: int = 5, *, where: Any = None, time_range: tuple[Any, Any] | None = None) -> pd.DataFrame:
        """Find what is unlike the rest of its series, whatever the labels: no examples are needed.

        Parameters
        ----------
        k : int, default 5
            How many windows at most.
        where, time_range
            As in `table`.

        Returns
        -------
        DataFrame
            series, start, end (excluded), score: how far the window is from the middle of all windows of its length in
            the series, in robust deviations (1.4826 times the median absolute one), root mean square over what
            describes it. Farthest first; windows of the longest scale that the series has, none of which overlap.
        """
        self._check_retriever()
        k = whole_number(k, "k")
        contents, windows = self.retriever._contents, self.retriever._windows_of_all()  # type: ignore[union-attr]
        kept = None if where is None else named_series(where, contents.labels, contents.metadata)
        low, high = open_rows(contents.times, contents.corpus.lengths, kept, time_range)
        found = unusual_windows(windows, contents.corpus, low, high, k)
        return pd.DataFrame(
            {
                "series": contents.labels[found.series],
                "start": contents.times.at(found.series, found.rows),
                "end": contents.times.at(found.series, found.rows + found.scales),
                "score": found.scores,
            }
        )

    def _number(self, label: Any) -> int:
        check_is_fitted(self)
        found = np.flatnonzero(self.labels_ == label)
        if not len(found):
            raise ValueError(f"label: found {label!r}, the examples have {self.labels_.tolist()}.")
        return int(found[0])

    def _judged(self, where: Any, time_range: Any) -> Iterator[tuple[SeriesSteps, np.ndarray]]:
        """The steps of each series, and log probabilities of labels in each of them."""
        contents, windows = self.retriever._contents, self.retriever._windows_of_all()  # type: ignore[union-attr]
        if self.retriever._known.mark != self._encoder_mark:  # type: ignore[union-attr]
            raise ValueError(
                "retriever: its windows are those of another encoder than at fit, where events were learned from them. "
                "Fit the locator again."
            )
        kept = None if where is None else named_series(where, contents.labels, contents.metadata)
        low, high = open_rows(contents.times, contents.corpus.lengths, kept, time_range)
        for number in np.flatnonzero(high > low):
            steps = SeriesSteps(int(number), int(low[number]), int(high[number]), self._grain())
            said = self._judge.said((windows, contents.corpus), steps)
            if said is not None:
                yield steps, said

    def _grain(self) -> int:
        return min(self.retriever._contents.steps.values())  # type: ignore[union-attr]

    def _known(self, examples: EventRows, steps: SeriesSteps) -> np.ndarray:
        """Numbers of the labels of a series' steps; -1 where nothing is known."""
        found = examples.of_steps(steps.series, steps.middles(), steps.grain)
        return np.where(found < 0, len(self.labels_), found) if self.background else found

    def _sharpness(self) -> float:
        """Share of what a step says that counts: windows of neighbouring steps have most samples in common."""
        return self._grain() / min(self.retriever._contents.steps)  # type: ignore[union-attr]

    def _stay(self) -> np.ndarray:
        steps = np.append(self.durations_, [self.durations_.max() * 10] * self.background) / self._grain()
        return np.clip(1 - 1 / np.maximum(steps, 1.0), *_STAY)

    def _least(self) -> np.ndarray:
        """Steps of an event at least: half of what three of four examples have."""
        rows = np.append(self._usual / 2, [0.0] * self.background)
        return np.maximum(np.round(rows / self._grain()), 1).astype(np.int64)

    def _events(self, steps: SeriesSteps, said: np.ndarray) -> pd.DataFrame:
        path = most_likely(said * self._sharpness(), self._stay(), self._least())
        first, last, label = runs(path)
        total = np.append(0.0, np.cumsum(np.exp(said[np.arange(len(path)), path])))
        score = (total[last] - total[first]) / (last - first)
        known = label < len(self.labels_)
        return self._frame(steps, first[known], last[known], label[known], score[known])

    def _frame(
        self, steps: SeriesSteps, first: np.ndarray, last: np.ndarray, label: np.ndarray, score: np.ndarray
    ) -> pd.DataFrame:
        """Events from a step on until another."""
        contents = self.retriever._contents  # type: ignore[union-attr]
        series = np.full(len(first), steps.series)
        return pd.DataFrame(
            {
                "series": contents.labels[series],
                "start": contents.times.at(series, steps.low + first * steps.grain),
                "end": contents.times.at(series, np.minimum(steps.low + last * steps.grain, steps.high)),
                "label": self.labels_[label],
                "score": score,
            }
        )

    def _likeliest(self, label: int, where: Any, time_range: Any) -> pd.DataFrame:
        """The event of a label in the most likely sequence that has one, in each series.

        Without a least length it would be a single step, wherever the label is hardly ever likely.
        """
        parts, least = [], max(round(self._usual[label] / self._grain()), 1)
        for steps, said in self._judged(where, time_range):
            first, last = likeliest_run(said * self._sharpness(), self._stay(), label, least)
            score = np.array([np.exp(said[first:last, label]).mean()])
            parts.append(self._frame(steps, np.array([first]), np.array([last]), np.array([label]), score))
        return pd.concat(parts, ignore_index=True) if parts else self.table(where=where, time_range=time_range)
