"""What forecasters made of other forecasters share: parameters that are the members' own, and how they are fitted."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import clone

from tsrec.estimators import _quantiles
from tsrec.estimators._callbacks import CallbackSupportMixin, lent_callbacks
from tsrec.estimators._forecaster import BaseForecaster
from tsrec.estimators._parameters import check_whole
from tsrec.estimators._static import described
from tsrec.frames import Panel
from tsrec.frames.season import choose_season

# What members are given where it is no None, if they have such a parameter.
_SHARED = ("horizon", "season", "freq", "quantiles")


class TellsMembers:
    """A forecaster that passes on what it hears of new series: to ``members_``, unless it says otherwise."""

    members_: dict[str, Any]

    def describe(self, static: Any) -> Self:
        """Tell members that use it of series that are not in the history, before ``predict(history=...)``.

        Parameters
        ----------
        static : DataFrame or Series
            As in `fit`, indexed by the names of the series.

        Returns
        -------
        self
        """
        self._be_told(described(self, static))
        return self

    def _be_told(self, static: pd.DataFrame) -> None:
        for member in self._asked_members():
            member._be_told(static)

    def _asked_members(self) -> list[BaseForecaster]:
        """The fitted forecasters that it is made of."""
        return list(self.members_.values())


class ComposedForecaster(TellsMembers, CallbackSupportMixin, BaseForecaster):
    """Base of forecasters made of others: ``horizon``, ``season``, ``freq`` and ``quantiles`` are theirs where None.

    Subclasses give ``_given()``, the forecasters as they were handed over, by name; they fit with ``_fitted`` and keep
    what it gives in ``members_``.
    """

    horizon: Any
    season: Any
    quantiles: Any
    members_: dict[str, BaseForecaster]

    def fit(self, X: Any, y: Any = None, *, past: Any = None, static: Any = None, sample_weight: Any = None) -> Self:
        """Learn from a history.

        Parameters
        ----------
        X, y, past, static
            As every forecaster takes them; members that have no use for the last two leave them aside.
        sample_weight : Series or array, optional
            As networks take it, for members that do.

        Returns
        -------
        self
        """
        return self._fit_rows(X, y, past, static, sample_weight)

    def _given(self) -> Mapping[str, BaseForecaster]:
        raise NotImplementedError

    def _own(self, name: str) -> Any:
        """A parameter, or that of the members where it is None; those of them that are None have no say."""
        if getattr(self, name) is not None:
            return getattr(self, name)
        found = {key: _own_of(member, name) for key, member in self._given().items()}
        told = {key: value for key, value in found.items() if value is not None}
        first = next(iter(told.values()), None)
        for key, value in told.items():
            if value != first:
                raise ValueError(
                    f"{name}: the forecasters differ, {next(iter(told))!r} has {first!r}, {key!r} has {value!r}. Give "
                    f"{name} here, and all take it."
                )
        return first

    def _horizon(self) -> int:
        return int(self._own("horizon"))

    def _freq(self) -> Any:
        return self._own("freq")

    def _levels(self) -> np.ndarray:
        return _quantiles.check_levels(self._own("quantiles"), "quantiles", least=2)

    def _season(self, panel: Panel) -> int:
        """Steps per season of the scale of errors; members of several seasons leave it to the data."""
        told = {self.season}
        if self.season is None:
            told = {_own_of(member, "season") for member in self._given().values()}
        numbers = told - {"auto", None}
        return int(numbers.pop()) if len(numbers) == 1 else choose_season(panel)

    def _uses(self, name: str) -> bool:
        return any(member._uses(name) for member in self._given().values())

    def _check_parameters(self) -> None:
        if self.horizon is not None:
            check_whole(self, "horizon")
        if self.season is not None:
            check_whole(self, "season", auto=True)
        for member in self._given().values():
            self._lent(member)
        self._own("freq")

    def _lent(self, given: BaseForecaster) -> BaseForecaster:
        """A clone with the parameters that are not its own."""
        member = clone(given)
        self._lend(member, *(name for name in _SHARED if getattr(self, name) is not None))
        return member

    def _fitted(self, given: BaseForecaster, panel: Panel) -> BaseForecaster:
        """A clone that has learned from a panel."""
        member = self._lent(given)
        with lent_callbacks(self, member):
            member._learn(panel, self.form_, self.levels_, targets_itself=self.targets_itself_)
        return member

    def _keep(self, members: dict[str, BaseForecaster]) -> None:
        """Take fitted forecasters for the members."""
        self.members_ = members
        self.context_ = max(int(getattr(member, "context_", 1)) for member in members.values())

    def _remember(self, panel: Panel) -> None:
        super()._remember(panel)
        for member in self.members_.values():
            member._remember(panel)


def check_forecaster(given: Any, where: str) -> None:
    """Refuse what is no forecaster.

    Raises
    ------
    TypeError
        If it is none of tsrec's, or a class.
    """
    if not isinstance(given, BaseForecaster):
        mend = "Call it: give an object, not the class" if isinstance(given, type) else "Give a forecaster of tsrec"
        raise TypeError(f"{where}: found {given!r}. {mend}.")


def _own_of(member: BaseForecaster, name: str) -> Any:
    composed = isinstance(member, ComposedForecaster) and name != "season"
    value = member._own(name) if composed else getattr(member, name)
    return tuple(value) if name == "quantiles" and value is not None else value
