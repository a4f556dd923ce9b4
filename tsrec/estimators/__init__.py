"""What users construct: scikit-learn estimators, one file per family."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "AnomalyDetector": "tsrec.estimators.anomaly",
    "AutoForecaster": "tsrec.estimators.auto",
    "CleanedForecaster": "tsrec.estimators.cleaned",
    "ConformalForecaster": "tsrec.estimators.conformal",
    "DecompositionForecaster": "tsrec.estimators.combine",
    "EnsembleForecaster": "tsrec.estimators.ensemble",
    "LSSLClassifier": "tsrec.estimators.lssl_series",
    "LSSLEncoder": "tsrec.estimators.lssl_series",
    "LSSLForecaster": "tsrec.estimators.lssl",
    "LSSLRegressor": "tsrec.estimators.lssl_series",
    "LuMambaClassifier": "tsrec.estimators.lumamba_classifier",
    "LuMambaEncoder": "tsrec.estimators.lumamba",
    "MLPForecaster": "tsrec.estimators.mlp",
    "MambaClassifier": "tsrec.estimators.mamba_series",
    "MambaEncoder": "tsrec.estimators.mamba_series",
    "MambaForecaster": "tsrec.estimators.mamba",
    "MambaRegressor": "tsrec.estimators.mamba_series",
    "SeasonalMeanForecaster": "tsrec.estimators.baseline",
    "SeasonalNaiveForecaster": "tsrec.estimators.baseline",
    "StatsForecaster": "tsrec.estimators.stats",
    "TCNCAClassifier": "tsrec.estimators.tcnca_series",
    "TCNCAEncoder": "tsrec.estimators.tcnca_series",
    "TCNCAForecaster": "tsrec.estimators.tcnca",
    "TCNCARegressor": "tsrec.estimators.tcnca_series",
    "TEMPOForecaster": "tsrec.estimators.tempo",
    "ThetaForecaster": "tsrec.estimators.theta",
}

__all__ = [
    "AnomalyDetector",
    "AutoForecaster",
    "CleanedForecaster",
    "ConformalForecaster",
    "DecompositionForecaster",
    "EnsembleForecaster",
    "LSSLClassifier",
    "LSSLEncoder",
    "LSSLForecaster",
    "LSSLRegressor",
    "LuMambaClassifier",
    "LuMambaEncoder",
    "MLPForecaster",
    "MambaClassifier",
    "MambaEncoder",
    "MambaForecaster",
    "MambaRegressor",
    "SeasonalMeanForecaster",
    "SeasonalNaiveForecaster",
    "StatsForecaster",
    "TCNCAClassifier",
    "TCNCAEncoder",
    "TCNCAForecaster",
    "TCNCARegressor",
    "TEMPOForecaster",
    "ThetaForecaster",
]

if TYPE_CHECKING:
    from tsrec.estimators.anomaly import AnomalyDetector
    from tsrec.estimators.auto import AutoForecaster
    from tsrec.estimators.baseline import SeasonalMeanForecaster, SeasonalNaiveForecaster
    from tsrec.estimators.cleaned import CleanedForecaster
    from tsrec.estimators.combine import DecompositionForecaster
    from tsrec.estimators.conformal import ConformalForecaster
    from tsrec.estimators.ensemble import EnsembleForecaster
    from tsrec.estimators.lssl import LSSLForecaster
    from tsrec.estimators.lssl_series import LSSLClassifier, LSSLEncoder, LSSLRegressor
    from tsrec.estimators.lumamba import LuMambaEncoder
    from tsrec.estimators.lumamba_classifier import LuMambaClassifier
    from tsrec.estimators.mamba import MambaForecaster
    from tsrec.estimators.mamba_series import MambaClassifier, MambaEncoder, MambaRegressor
    from tsrec.estimators.mlp import MLPForecaster
    from tsrec.estimators.stats import StatsForecaster
    from tsrec.estimators.tcnca import TCNCAForecaster
    from tsrec.estimators.tcnca_series import TCNCAClassifier, TCNCAEncoder, TCNCARegressor
    from tsrec.estimators.tempo import TEMPOForecaster
    from tsrec.estimators.theta import ThetaForecaster


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tsrec.estimators' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
