"""Pictures in the style of scikit-learn's displays; matplotlib is imported when one is drawn."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "AnomalyDisplay": "tsrec.plotting._anomalies",
    "AttentionDisplay": "tsrec.plotting._scalp",
    "BacktestDisplay": "tsrec.plotting._backtest",
    "CalibrationDisplay": "tsrec.plotting._calibration",
    "DecompositionDisplay": "tsrec.plotting._decomposition",
    "EmbeddingDisplay": "tsrec.plotting._embedding",
    "EventsDisplay": "tsrec.plotting._events",
    "ForecastDisplay": "tsrec.plotting._forecast",
    "LossDisplay": "tsrec.plotting._loss",
    "MOST_TRACKS": "tsrec.plotting._tracks",
    "MatchesDisplay": "tsrec.plotting._matches",
    "ResidualsDisplay": "tsrec.plotting._residuals",
}

__all__ = [
    "MOST_TRACKS",
    "AnomalyDisplay",
    "AttentionDisplay",
    "BacktestDisplay",
    "CalibrationDisplay",
    "DecompositionDisplay",
    "EmbeddingDisplay",
    "EventsDisplay",
    "ForecastDisplay",
    "LossDisplay",
    "MatchesDisplay",
    "ResidualsDisplay",
]

if TYPE_CHECKING:
    from tsrec.plotting._anomalies import AnomalyDisplay
    from tsrec.plotting._backtest import BacktestDisplay
    from tsrec.plotting._calibration import CalibrationDisplay
    from tsrec.plotting._decomposition import DecompositionDisplay
    from tsrec.plotting._embedding import EmbeddingDisplay
    from tsrec.plotting._events import EventsDisplay
    from tsrec.plotting._forecast import ForecastDisplay
    from tsrec.plotting._loss import LossDisplay
    from tsrec.plotting._matches import MatchesDisplay
    from tsrec.plotting._residuals import ResidualsDisplay
    from tsrec.plotting._scalp import AttentionDisplay
    from tsrec.plotting._tracks import MOST_TRACKS


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tsrec.plotting' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
