"""Encoders as transformers of sktime: a row of numbers for each series."""

from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sktime.transformations.base import BaseTransformer

from tsrec.interop.sktime._adapter import Adapter, adapted
from tsrec.interop.sktime._labelled import PANEL_TAGS

_TINY: dict[str, Any] = {"d_model": 4, "n_layers": 1, "max_epochs": 1, "random_state": 0}
# Channels on no scalp, with a value a day, as sktime's examples have them.
_PATCHES: dict[str, Any] = {
    "positions": "none",
    "sfreq": 1 / 86_400,
    "window": 8 * 86_400.0,
    "width": 16,
    "n_queries": 1,
    "n_layers": 1,
    "patch_size": 4,
    "max_epochs": 1,
    "random_state": 0,
}
_TRIALS: dict[str, tuple[dict[str, Any], ...]] = {
    "LSSLEncoder": ({**_TINY, "d_state": 4}, {**_TINY, "d_state": 4, "hidden": 0.0, "max_epochs": 0}),
    "LuMambaEncoder": ({**_PATCHES, "lejepa_weight": 0.0}, {**_PATCHES, "max_epochs": 0}),
    "MambaEncoder": ({**_TINY, "d_state": 4}, {**_TINY, "d_state": 4, "hidden": 0.0, "max_epochs": 0}),
    "TCNCAEncoder": ({**_TINY, "chunk": 8}, {**_TINY, "chunk": 8, "hidden": 0.0, "max_epochs": 0}),
}
_EXAMPLE = """\
>>> from sktime.datasets import load_unit_test
>>> X, _ = load_unit_test(split="train")
>>> len({make}.fit_transform(X))
20"""


class EncoderAdapter(Adapter, BaseTransformer):
    """A transformer of sktime from series to primitives that asks an encoder of ours.

    One model learns from all series of a panel or hierarchy; ``transform`` gives a row for each. The fitted encoder of
    this library is ``encoder_``.
    """

    _tags: ClassVar[dict[str, Any]] = {
        **PANEL_TAGS,
        "X_inner_mtype": ["pd-multiindex", "numpy3D", "pd_multiindex_hier"],
        "scitype:transform-input": "Series",
        "scitype:transform-output": "Primitives",
        # Trained on all series together.
        "scitype:instancewise": False,
        "fit_is_empty": False,
        "capability:missing_values:removes": True,
        "capability:unequal_length:removes": True,
    }

    def _fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002 - for pipelines
        self.encoder_ = self._unfitted().fit(X)
        return self

    def _transform(self, X: Any, y: Any = None) -> pd.DataFrame:  # noqa: ARG002 - for pipelines
        found = self.encoder_.transform(X)
        if isinstance(found, pd.DataFrame):
            return found
        return pd.DataFrame(np.asarray(found), columns=self.encoder_.get_feature_names_out())


def make(name: str) -> type:
    """The adapter of the encoder of this name."""
    return adapted(name, EncoderAdapter, _TRIALS[name], _EXAMPLE)
