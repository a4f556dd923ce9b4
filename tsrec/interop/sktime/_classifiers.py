"""Classifiers of series as classifiers of sktime."""

from typing import Any, ClassVar

import numpy as np
from sktime.classification.base import BaseClassifier

from tsrec.estimators import LuMambaEncoder
from tsrec.interop.sktime._adapter import adapted
from tsrec.interop.sktime._labelled import CLOSED, DRAWN, PANEL_TAGS, TRAINED, LabelledAdapter

_TRIALS: dict[str, tuple[dict[str, Any], ...]] = {
    "LSSLClassifier": (CLOSED, {**TRAINED, "d_state": 4}),
    "MambaClassifier": ({**TRAINED, "d_state": 4}, {**DRAWN, "d_state": 4}),
    "TCNCAClassifier": ({**TRAINED, "chunk": 8}, {**DRAWN, "chunk": 8}),
}
_EXAMPLE = """\
>>> from sktime.datasets import load_unit_test
>>> X, y = load_unit_test(split="train")
>>> {make}.fit(X, y).predict_proba(X).shape
(20, 2)"""


_RECORDINGS = """\
>>> from sktime.datasets import load_unit_test
>>> from tsrec.interop.sktime import LuMambaEncoder
>>> X, y = load_unit_test(split="train")
>>> encoder = LuMambaEncoder(positions="none", width=16, n_queries=1, n_layers=1, patch_size=4)
>>> LuMambaClassifier(encoder, max_epochs=1, random_state=0).fit(X, y).predict_proba(X).shape
(20, 2)"""


class ClassifierAdapter(LabelledAdapter, BaseClassifier):
    """A classifier of sktime that asks one of ours.

    Panels of any kind, of equal lengths or not, also with missing values. The fitted classifier of this library is
    ``estimator_``.
    """

    _tags: ClassVar[dict[str, Any]] = {**PANEL_TAGS, "capability:predict_proba": True, "capability:class_weight": True}

    def _predict(self, X: Any) -> np.ndarray:
        return super()._predict(X).astype(self.estimator_.classes_.dtype)

    def _predict_proba(self, X: Any) -> np.ndarray:
        return np.asarray(self.estimator_.predict_proba(X))


def make(name: str) -> type:
    """The adapter of the classifier of this name."""
    if name == "LuMambaClassifier":
        return adapted(name, ClassifierAdapter, _of_recordings(), _RECORDINGS)
    return adapted(name, ClassifierAdapter, _TRIALS[name], _EXAMPLE)


def _of_recordings() -> list[dict[str, Any]]:
    """Parameters for tests: channels on no scalp, with a value a day, as sktime's examples have them."""
    small: dict[str, Any] = {"width": 16, "n_queries": 1, "n_layers": 1, "patch_size": 4}
    encoder = LuMambaEncoder(positions="none", sfreq=1 / 86_400, window=8 * 86_400.0, **small)
    shared = {"encoder": encoder, "max_epochs": 1, "random_state": 0}
    return [shared, {**shared, "head": "linear"}]
