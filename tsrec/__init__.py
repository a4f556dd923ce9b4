"""tsrec: time series in pandas frames, recurrent sequence models, scikit-learn estimators.

Public names are imported on first use (PEP 562), so that ``import tsrec`` stays cheap and loads neither torch nor
scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tsrec.estimators import _HOME as _ESTIMATORS

__version__ = "0.1.0.dev0"

_DECOMPOSERS = {
    "FourierSeasonal": "tsrec.decomposition.fourier",
    "MSTL": "tsrec.decomposition.stl",
    "MovingAverage": "tsrec.decomposition.smooth",
    "STL": "tsrec.decomposition.stl",
    "Whittaker": "tsrec.decomposition.smooth",
}
_RETRIEVERS = {
    "EventLocator": "tsrec.retrieval.events",
    "RetrievalForecaster": "tsrec.retrieval.forecaster",
    "SubsequenceRetriever": "tsrec.retrieval.subsequence",
}
_FUNCTIONS = {
    "export_onnx": "tsrec.interop.onnx",
    "load": "tsrec.io",
    "save": "tsrec.io",
    "to_torch": "tsrec.interop.modules",
}
_HOME = {**_ESTIMATORS, **_DECOMPOSERS, **_RETRIEVERS, **_FUNCTIONS}
_ROOMS = (
    "datasets",
    "decomposition",
    "estimators",
    "frames",
    "interop",
    "kernels",
    "layers",
    "metrics",
    "model_selection",
    "plotting",
    "retrieval",
    "training",
)

__all__ = ["__version__", *sorted(_HOME), *_ROOMS]

if TYPE_CHECKING:
    from tsrec.decomposition.fourier import FourierSeasonal as FourierSeasonal
    from tsrec.decomposition.smooth import MovingAverage as MovingAverage
    from tsrec.decomposition.smooth import Whittaker as Whittaker
    from tsrec.decomposition.stl import MSTL as MSTL
    from tsrec.decomposition.stl import STL as STL
    from tsrec.estimators.anomaly import AnomalyDetector as AnomalyDetector
    from tsrec.estimators.auto import AutoForecaster as AutoForecaster
    from tsrec.estimators.baseline import SeasonalMeanForecaster as SeasonalMeanForecaster
    from tsrec.estimators.baseline import SeasonalNaiveForecaster as SeasonalNaiveForecaster
    from tsrec.estimators.cleaned import CleanedForecaster as CleanedForecaster
    from tsrec.estimators.combine import DecompositionForecaster as DecompositionForecaster
    from tsrec.estimators.conformal import ConformalForecaster as ConformalForecaster
    from tsrec.estimators.ensemble import EnsembleForecaster as EnsembleForecaster
    from tsrec.estimators.lssl import LSSLForecaster as LSSLForecaster
    from tsrec.estimators.lssl_series import LSSLClassifier as LSSLClassifier
    from tsrec.estimators.lssl_series import LSSLEncoder as LSSLEncoder
    from tsrec.estimators.lssl_series import LSSLRegressor as LSSLRegressor
    from tsrec.estimators.lumamba import LuMambaEncoder as LuMambaEncoder
    from tsrec.estimators.lumamba_classifier import LuMambaClassifier as LuMambaClassifier
    from tsrec.estimators.mamba import MambaForecaster as MambaForecaster
    from tsrec.estimators.mamba_series import MambaClassifier as MambaClassifier
    from tsrec.estimators.mamba_series import MambaEncoder as MambaEncoder
    from tsrec.estimators.mamba_series import MambaRegressor as MambaRegressor
    from tsrec.estimators.mlp import MLPForecaster as MLPForecaster
    from tsrec.estimators.stats import StatsForecaster as StatsForecaster
    from tsrec.estimators.tcnca import TCNCAForecaster as TCNCAForecaster
    from tsrec.estimators.tcnca_series import TCNCAClassifier as TCNCAClassifier
    from tsrec.estimators.tcnca_series import TCNCAEncoder as TCNCAEncoder
    from tsrec.estimators.tcnca_series import TCNCARegressor as TCNCARegressor
    from tsrec.estimators.tempo import TEMPOForecaster as TEMPOForecaster
    from tsrec.estimators.theta import ThetaForecaster as ThetaForecaster
    from tsrec.interop.modules import to_torch as to_torch
    from tsrec.interop.onnx import export_onnx as export_onnx
    from tsrec.io import load as load
    from tsrec.io import save as save
    from tsrec.retrieval.events import EventLocator as EventLocator
    from tsrec.retrieval.forecaster import RetrievalForecaster as RetrievalForecaster
    from tsrec.retrieval.subsequence import SubsequenceRetriever as SubsequenceRetriever


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name in _ROOMS:
        value = import_module(f"tsrec.{name}")
    else:
        raise AttributeError(f"module 'tsrec' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
