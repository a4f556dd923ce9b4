"""Regressors of series as regressors of sktime."""

from typing import Any, ClassVar

from sktime.regression.base import BaseRegressor

from tsrec.interop.sktime._adapter import adapted
from tsrec.interop.sktime._labelled import CLOSED, DRAWN, PANEL_TAGS, TRAINED, LabelledAdapter

_TRIALS: dict[str, tuple[dict[str, Any], ...]] = {
    "LSSLRegressor": (CLOSED, {**TRAINED, "d_state": 4}),
    "MambaRegressor": ({**TRAINED, "d_state": 4}, {**DRAWN, "d_state": 4}),
    "TCNCARegressor": ({**TRAINED, "chunk": 8}, {**DRAWN, "chunk": 8}),
}
_EXAMPLE = """\
>>> from sktime.datasets import load_unit_test
>>> X, y = load_unit_test(split="train")
>>> {make}.fit(X, y.astype(float)).predict(X).shape
(20,)"""


class RegressorAdapter(LabelledAdapter, BaseRegressor):
    """A regressor of sktime that asks one of ours.

    Panels of any kind, of equal lengths or not, also with missing values; one target or several. The fitted regressor
    of this library is ``estimator_``.
    """

    _tags: ClassVar[dict[str, Any]] = {**PANEL_TAGS, "capability:multioutput": True, "y_inner_mtype": "numpy2D"}


def make(name: str) -> type:
    """The adapter of the regressor of this name."""
    return adapted(name, RegressorAdapter, _TRIALS[name], _EXAMPLE)
