"""Decomposers as transformers of sktime: a column for each component."""

from typing import Any, ClassVar, Self

import pandas as pd
from sktime.transformations.base import BaseTransformer

from tsrec.interop.sktime._adapter import Adapter, adapted

_TRIALS: dict[str, tuple[dict[str, Any], ...]] = {
    "FourierSeasonal": ({"periods": 3}, {"periods": None, "trend": "constant"}),
    "MSTL": ({"periods": 3}, {"periods": None}),
    "MovingAverage": ({"window": 3}, {"window": 5, "causal": True}),
    "STL": ({"period": 3}, {"period": None}),
    "Whittaker": ({"half_period": 6}, {"half_period": 12, "causal": True}),
}
_EXAMPLE = """\
>>> from sktime.datasets import load_airline
>>> decomposer = {make}
>>> parts = decomposer.fit_transform(load_airline())
>>> parts.sum(axis=1).round(6).equals(load_airline())
True"""


class DecomposerAdapter(Adapter, BaseTransformer):
    """A transformer of sktime from series to series that asks a decomposer of ours.

    ``transform`` gives a column for each component, ``variable__component`` where there are several variables;
    ``inverse_transform`` sums them up. The fitted decomposer of this library is ``decomposer_``.
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": "tsrec developers",
        "maintainers": "tsrec developers",
        "scitype:transform-input": "Series",
        "scitype:transform-output": "Series",
        # Periods are chosen for all series together.
        "scitype:instancewise": False,
        # A series alone comes as a panel of one: with ours, rows without time stamps would be series.
        "X_inner_mtype": ["pd-multiindex", "pd_multiindex_hier"],
        "capability:multivariate": True,
        "capability:inverse_transform": True,
        "capability:missing_values": True,
        "capability:categorical_in_X": False,
        "transform-returns-same-time-index": True,
        "fit_is_empty": False,
    }
    missing: str

    def __post_init__(self) -> None:
        """Say whether missing values are legal, which a parameter decides."""
        self.set_tags(**{"capability:missing_values": self.missing != "raise"})

    def fit(self, X: Any, y: Any = None) -> Self:
        """Read the shape of series, and choose the periods that are "auto".

        Parameters
        ----------
        X : Series, DataFrame, array or panel
            Series of any kind that sktime knows.
        y : ignored
            There for pipelines.

        Returns
        -------
        self
        """
        super().fit(X, y)
        self._is_single = isinstance(X, pd.Series)
        return self

    def inverse_transform(self, X: Any, y: Any = None) -> Any:
        """Put components together again.

        Parameters
        ----------
        X : DataFrame, array or panel
            As returned by `transform`; components may have been changed, or forecast.
        y : ignored
            There for pipelines.

        Returns
        -------
        Series, DataFrame, array or panel
            The sums over components; a Series where fit was given one.
        """
        found = super().inverse_transform(X, y)
        single = self._is_single and isinstance(found, pd.DataFrame) and found.index.nlevels == 1
        return found.iloc[:, 0] if single else found

    def _fit(self, X: pd.DataFrame, y: Any = None) -> Self:  # noqa: ARG002 - for pipelines
        self.decomposer_ = self._unfitted().fit(X)
        return self

    def _transform(self, X: pd.DataFrame, y: Any = None) -> pd.DataFrame:  # noqa: ARG002 - for pipelines
        parts = self.decomposer_.transform(X)
        return parts.set_axis(self._names(parts.columns), axis=1)

    def _inverse_transform(self, X: pd.DataFrame, y: Any = None) -> pd.DataFrame:  # noqa: ARG002 - for pipelines
        own = self.decomposer_
        columns = own._columns()
        names = self._names(columns)
        absent = [name for name in names if name not in X.columns]
        # Arrays have lost the names, but not the order.
        if len(absent) == len(names) == X.shape[1]:
            absent, X = [], X.set_axis(names, axis=1)
        if absent:
            raise ValueError(f"X: it has no column {absent[0]!r}. Give the columns of transform: {names}.")
        return own.inverse_transform(X[names].set_axis(columns, axis=1))

    def _names(self, columns: pd.MultiIndex) -> list[Any]:
        """The component alone for one variable, else variable__component, as sktime names columns."""
        if len(self.decomposer_.columns_) == 1:
            return list(columns.get_level_values("component"))
        return [f"{variable}__{component}" for variable, component in columns]


def make(name: str) -> type:
    """The adapter of the decomposer of this name."""
    return adapted(name, DecomposerAdapter, _TRIALS[name], _EXAMPLE)
