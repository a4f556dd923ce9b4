"""Questions that a table of events answers."""

from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator


class EventQuestions(BaseEstimator):
    """Base of locators: what is answered from ``table`` and ``locate``."""

    def table(self, *, where: Any = None, time_range: tuple[Any, Any] | None = None) -> pd.DataFrame:
        """Tell all events."""
        raise NotImplementedError

    def locate(
        self, label: Any, *, k: int | None = None, where: Any = None, time_range: tuple[Any, Any] | None = None
    ) -> pd.DataFrame:
        """Find the events of a label."""
        raise NotImplementedError

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
        label, **asked
            As in `exists`.

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

        Raises
        ------
        ValueError
            If events of several series cover it.
        """
        events = self.table(**asked)
        inside = events[(events["start"] <= time) & (events["end"] > time)]
        names = list(inside["series"].unique())
        if len(names) > 1:
            found = f"events of several series, such as {names[:3]}, cover {time!r}"
            raise ValueError(f"time: {found}. Name one with where=.")
        return inside["label"].iloc[0] if len(inside) else None

    def before(self, label: Any, **asked: Any) -> Any:
        """Label of the last event that ends before the best one of a label begins, in its series.

        Parameters
        ----------
        label, **asked
            As in `exists`.

        Returns
        -------
        str or other
            None where there is none.
        """
        best, found = self.locate(label, k=1, **asked), self.table(**asked)
        if not len(best):
            return None
        earlier = found[(found["series"] == best["series"][0]) & (found["end"] <= best["start"][0])]
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
        best, found = self.locate(anchor, k=1, **asked), self.table(**asked)
        if not len(best):
            return best
        found = found[(found["label"] == label) & (found["series"] == best["series"][0])].sort_values("start")
        side = found[found["start"] >= best["end"][0]] if k > 0 else found[found["end"] <= best["start"][0]].iloc[::-1]
        return side.iloc[abs(k) - 1 : abs(k)].reset_index(drop=True)

    def longest(self, label: Any, **asked: Any) -> pd.DataFrame:
        """Give the longest event of a label.

        Parameters
        ----------
        label, **asked
            As in `exists`.

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
        label, **asked
            As in `exists`.

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
