"""What all decomposers share: choosing periods, missing values, answers in the container of the question."""

from copy import copy
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from tsrec.decomposition._checks import check_choice, check_count
from tsrec.decomposition._holes import Floats, bridged
from tsrec.decomposition._read import TABLE_MEND, Question, keep_names, read_question
from tsrec.frames import Panel, check_names, is_default, label_at, variable_names
from tsrec.frames.seen import means_of_series
from tsrec.frames.warn import warn_user

MISSING = ("weights", "interpolate", "raise")


class Decomposer(TransformerMixin, BaseEstimator):
    """Base of the decomposers: a family adds its parameters, `_names` and `_fill`."""

    missing: str
    periods_: tuple[int, ...]
    columns_: pd.Index
    is_table_: bool
    n_features_in_: int

    def _names(self) -> list[str]:
        """Names of the components but the rest."""
        raise NotImplementedError

    def _parts(self, y: Floats, out: Floats | None = None) -> Floats:
        """Components but the rest of series (B, n), in each of which some value is known, (n_components, B, n)."""
        out = np.empty((len(self._names()), *y.shape)) if out is None else out
        self._fill(y, out)
        return out

    def _fill(self, y: Floats, out: Floats) -> None:
        """Write the components but the rest of series (B, n) into `out`, (n_components, B, n)."""
        raise NotImplementedError

    def _check(self) -> None:
        """Refuse bad parameters."""
        check_choice(self, "missing", MISSING)
        if self.missing == "interpolate" and getattr(self, "causal", False):
            raise ValueError("missing='interpolate' reads the value after a hole, causal=True must not. Use 'weights'.")

    def _choose_periods(self, panel: Panel) -> tuple[int, ...]:  # noqa: ARG002 - for those that have some
        """Steps of the seasons, ascending."""
        return ()

    def _check_lengths(self, panel: Panel) -> None:
        """Refuse series that are too short for given periods; warn of those too short for chosen ones."""
        short = panel.lengths < 2 * max(self.periods_, default=0)
        if not short.any():
            return
        first = int(short.argmax())
        label, period = label_at(panel.labels, first), self.periods_[-1]
        if isinstance(getattr(self, "period", getattr(self, "periods", None)), str):
            warn_user(
                f"X: {int(short.sum())} of {panel.n_series} series are shorter than two periods of {period}, the first "
                f"is {label!r}. They are taken apart without that season, whose component is 0."
            )
            return
        of = f"series {label!r} has" if panel.n_series > 1 else "it has"
        mend = f" {TABLE_MEND}" if self.is_table_ else ""
        raise ValueError(
            f"X: {of} {panel.lengths[first]} steps, but two periods of {period} are needed. Give longer series or a "
            f"shorter period.{mend}"
        )

    def __sklearn_is_fitted__(self) -> bool:
        """Whether periods are known."""
        return hasattr(self, "periods_")

    def __sklearn_tags__(self) -> Tags:
        """Missing values are legal unless they are to be refused, and so are arrays (series, channel, time)."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing != "raise"
        tags.input_tags.three_d_array = True
        return tags

    @property
    def components_(self) -> list[str]:
        """Names of the components."""
        return [*self._names(), "resid"]

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 - for pipelines
        """Read the shape of series, and choose the periods that are "auto".

        Parameters
        ----------
        X : Series, DataFrame, array, list or dict
            A recording (a Series, or a frame with an index of times and a column per variable), a panel with an index
            (series, time), or a collection: a list or dict of frames or arrays (n_times, n_channels), an array of shape
            (n_series, n_channels, n_times), or a table with one series a row.
        y : ignored
            There for pipelines.

        Returns
        -------
        self
        """
        self._check()
        question = read_question(self, X, reset=True)
        self._learn(question.panel, is_table=question.rows is None)
        self._check_lengths(question.panel)
        return self

    def fit_panel(self, panel: Panel) -> Self:
        """Fit to what has been read.

        Parameters
        ----------
        panel : Panel
            Series of any lengths.

        Returns
        -------
        self
        """
        self._check()
        keep_names(self, panel.columns)
        self._learn(panel, is_table=False)
        return self

    def _learn(self, panel: Panel, *, is_table: bool) -> None:
        self.columns_, self.is_table_ = panel.columns, is_table
        self.periods_ = self._choose_periods(panel)

    def transform(self, X: Any) -> Any:
        """Take series apart.

        Parameters
        ----------
        X : Series, DataFrame, array, list or dict
            As in `fit`; lengths and times may be others.

        Returns
        -------
        DataFrame
            Rows of X, columns (variable, component). The components of a variable sum up to it; where it is missing,
            so is the component "resid". For a table with one series a row: an array of shape (n_series, n_components
            n_times), one component after another.
        """
        question = self._asked(X)
        panel = question.panel
        if question.rows is None:
            return self._of_length(panel.values.reshape(panel.n_series, -1)).reshape(panel.n_series, -1)
        parts = self._take_apart(panel)
        if question.order is not None:
            parts = parts[question.order]
        return pd.DataFrame(parts.reshape(len(parts), -1), index=question.rows, columns=self._columns())

    def inverse_transform(self, X: Any) -> Any:
        """Put components together again.

        Parameters
        ----------
        X : DataFrame or array
            As returned by `transform`; components may have been changed, or set to 0.

        Returns
        -------
        DataFrame or array
            The sums over components: a column per variable, or a row per series. A frame for a frame.

        Raises
        ------
        ValueError
            If X has other columns. Those of a frame are found by name, unless it has only numbered ones.
        """
        check_is_fitted(self)
        framed = isinstance(X, pd.DataFrame)
        table = X
        if framed and not is_default(X.columns):
            check_names(X, "X")
            wanted = self._columns() if X.columns.nlevels == 2 else pd.Index(self.get_feature_names_out())
            if not wanted.difference(X.columns).empty:
                raise ValueError(f"X: its columns are not those of transform, {list(wanted)}.")
            table = X[wanted]
        values = np.asarray(table, dtype=np.float64)
        count = len(self.components_)
        width = self.n_features_in_ * count
        if values.ndim != 2 or values.shape[1] != width:
            raise ValueError(f"X: found shape {values.shape}. Give what transform returned, {width} columns.")
        # A table has one component after another, a recording one variable after another.
        shape, axis = ((count, -1), 1) if self.is_table_ else ((-1, count), 2)
        total = values.reshape(len(values), *shape).sum(axis)
        if not framed:
            return total
        columns = getattr(self, "feature_names_in_", None) if self.is_table_ else self._variables()
        return pd.DataFrame(total, index=X.index, columns=columns)

    def strength(self, X: Any) -> pd.DataFrame:
        """How much of what is not another component each component explains, from 0 to 1.

        max(0, 1 - var(rest) / var(component + rest)), for trend and for each season (Wang, Smith and Hyndman 2006).

        Parameters
        ----------
        X : Series, DataFrame, array, list or dict
            As in `fit`.

        Returns
        -------
        DataFrame
            A row per series, columns (variable, component); NaN where nothing is known.
        """
        panel = self._asked(X).panel
        parts = self._take_apart(panel)
        noise = _variances(parts[..., -1], panel.offsets)
        # What varies less than values are rounded is nothing.
        least = 1e-24 * means_of_series(panel.values**2, panel.offsets)
        found = []
        for k in range(parts.shape[2] - 1):
            whole = _variances(parts[..., k] + parts[..., -1], panel.offsets)
            found.append(np.maximum(0, 1 - noise / np.where(whole > least, whole, np.inf)))
            found[-1][whole <= least] = 0.0
        columns = pd.MultiIndex.from_product([self._variables(), self._names()], names=["variable", "component"])
        return pd.DataFrame(np.stack(found, 2).reshape(panel.n_series, -1), index=panel.labels, columns=columns)

    def matrices(self, n: int) -> Floats:
        """What is done to a complete series of n steps, as matrices: components y -> A y, for models in torch.

        Parameters
        ----------
        n : int
            Steps.

        Returns
        -------
        array of shape (n_components - 1, n, n)
            All components but the rest.

        Raises
        ------
        ValueError
            If the decomposition is robust, and so no linear one, or n is too short.
        """
        check_is_fitted(self)
        check_count("n", n)
        if getattr(self, "robust", False):
            raise ValueError("robust=True is not linear, so there are no matrices. Use robust=False.")
        if self.periods_ and n < 2 * self.periods_[-1]:
            raise ValueError(f"n={n} is less than two periods of {self.periods_[-1]}. Give longer windows.")
        # Rows of the unit matrix are the series.
        return np.ascontiguousarray(self._parts(np.eye(n)).swapaxes(1, 2))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns of `transform` as text: variable (or step, for a table) and component.

        Parameters
        ----------
        input_features : array of str, optional
            Names of the variables; those of `fit` when omitted.

        Returns
        -------
        array of str
        """
        check_is_fitted(self)
        known = self.is_table_ or input_features is not None or hasattr(self, "feature_names_in_")
        names = list(_check_feature_names_in(self, input_features)) if known else [str(n) for n in self._variables()]
        pairs = [(name, part) for part in self.components_ for name in names]
        if not self.is_table_:
            pairs = [(name, part) for name in names for part in self.components_]
        return np.asarray([f"{name}_{part}" for name, part in pairs], dtype=object)

    def _asked(self, X: Any) -> Question:
        check_is_fitted(self)
        question = read_question(self, X, reset=False)
        self._check_lengths(question.panel)
        return question

    def _variables(self) -> list[Any]:
        return list(variable_names(self.columns_))

    def _columns(self) -> pd.MultiIndex:
        return pd.MultiIndex.from_product([self._variables(), self.components_], names=["variable", "component"])

    def _take_apart(self, panel: Panel) -> Floats:
        """All components of all rows, (n_rows, n_channels, n_components)."""
        lengths, channels = panel.lengths, panel.n_channels
        parts = np.empty((len(panel.values), channels, len(self.components_)))
        for length in np.unique(lengths):
            rows: Any = slice(None)
            if (lengths != length).any():
                rows = (panel.offsets[:-1][lengths == length][:, None] + np.arange(length)).ravel()
            y = panel.values[rows].reshape(-1, length, channels).swapaxes(1, 2).reshape(-1, length)
            found = self._of_length(y).reshape(-1, channels, parts.shape[2], length)
            parts[rows] = found.transpose(0, 3, 1, 2).reshape(-1, channels, parts.shape[2])
        return parts

    def _of_length(self, y: Floats) -> Floats:
        """All components of series (B, n), (B, n_components, n); those without a value have none."""
        held = tuple(period for period in self.periods_ if 2 * period <= y.shape[1])
        if held != self.periods_:
            return self._of_short(y, held)
        holes: Any = np.isnan(y)
        empty = holes.all(1)
        filled = y
        if self.missing == "interpolate" and holes.any():
            filled = bridged(y, ~holes | empty[:, None])
        parts = np.empty((len(y), len(self.components_), y.shape[1]))
        by_component = parts.swapaxes(0, 1)
        if empty.any():
            parts[empty] = np.nan
            by_component[:-1, ~empty] = self._parts(filled[~empty]) if not empty.all() else 0.0
        else:
            self._parts(filled, by_component[:-1])
        rest = np.subtract(y, by_component[0], out=by_component[-1])
        for part in by_component[1:-1]:
            rest -= part
        return parts

    def _of_short(self, y: Floats, held: tuple[int, ...]) -> Floats:
        """Components of series that hold only some of the periods twice; the other seasons are 0."""
        fewer = copy(self)
        fewer.periods_ = held
        found = fewer._of_length(y)
        parts = np.zeros((len(y), len(self.components_), y.shape[1]))
        parts[:, : 1 + len(held)], parts[:, -1] = found[:, :-1], found[:, -1]
        parts[np.isnan(y).all(1)] = np.nan
        return parts


def _variances(x: Floats, offsets: np.ndarray) -> Floats:
    """Variance of what is known of each series, (n_series, n_channels), of rows (n_rows, n_channels)."""
    return means_of_series((x - np.repeat(means_of_series(x, offsets), np.diff(offsets), axis=0)) ** 2, offsets)
