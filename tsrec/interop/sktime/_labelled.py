"""Classifiers and regressors as those of sktime: what both share."""

from typing import Any, Self

import numpy as np

from tsrec.interop.sktime._adapter import Adapter

# Of estimators of panels; arrays are read as they are, all else comes with times and names of channels.
PANEL_TAGS = {
    "authors": "tsrec developers",
    "maintainers": "tsrec developers",
    "X_inner_mtype": ["pd-multiindex", "numpy3D"],
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "capability:missing_values": True,
    "capability:categorical_in_X": False,
}
# Parameters for tests: a head in closed form on random filters; layers that are trained, and that are as drawn.
CLOSED: dict[str, Any] = {"features": "random", "d_model": 8, "random_state": 0}
TRAINED: dict[str, Any] = {"features": "trained", "d_model": 4, "n_layers": 1, "max_epochs": 1, "random_state": 0}
DRAWN = {**TRAINED, "max_epochs": 0, "normalisation": "series"}


class LabelledAdapter(Adapter):
    """An estimator of sktime of series with labels or numbers that asks one of ours."""

    estimator_: Any

    def _fit(self, X: Any, y: np.ndarray) -> Self:
        # Of regressors y comes as a table, also with a single column.
        self.estimator_ = self._unfitted().fit(X, y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y)
        return self

    def _predict(self, X: Any) -> np.ndarray:
        return np.asarray(self.estimator_.predict(X))
