"""Estimators of this library as estimators of sktime, under the names they have here.

Forecasters fit one model to a panel or hierarchy and take several variables at once; classifiers and regressors take
panels of any lengths; encoders and decomposers are transformers. Parameters are those of the estimator of the same
name. The classes are made when they are asked for, so that importing this module imports neither sktime nor torch.
"""

from importlib import import_module
from typing import Any

_HOME = {
    **dict.fromkeys(
        [
            "AutoForecaster",
            "CleanedForecaster",
            "ConformalForecaster",
            "DecompositionForecaster",
            "EnsembleForecaster",
            "LSSLForecaster",
            "MLPForecaster",
            "MambaForecaster",
            "RetrievalForecaster",
            "SeasonalMeanForecaster",
            "SeasonalNaiveForecaster",
            "StatsForecaster",
            "TCNCAForecaster",
            "TEMPOForecaster",
            "ThetaForecaster",
        ],
        "_forecasters",
    ),
    **dict.fromkeys(["LSSLClassifier", "LuMambaClassifier", "MambaClassifier", "TCNCAClassifier"], "_classifiers"),
    **dict.fromkeys(["LSSLRegressor", "MambaRegressor", "TCNCARegressor"], "_regressors"),
    **dict.fromkeys(["LSSLEncoder", "LuMambaEncoder", "MambaEncoder", "TCNCAEncoder"], "_encoders"),
    **dict.fromkeys(["FourierSeasonal", "MSTL", "MovingAverage", "STL", "Whittaker"], "_decomposers"),
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tsrec.interop.sktime' has no attribute {name!r}")
    try:
        import_module("sktime")
    except ImportError as error:
        raise ImportError(
            f"tsrec.interop.sktime.{name} needs sktime. Install it with: pip install 'tsrec[sktime]'"
        ) from error
    value = import_module(f"tsrec.interop.sktime.{_HOME[name]}").make(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOME)
