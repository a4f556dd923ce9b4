"""How good a forecast is: errors of points, quantiles and intervals, for arrays, frames and panels, and scorers.

And how good alarms are: `event_f1`, `nab_score`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "crps": "tsrec.metrics._quantile",
    "event_f1": "tsrec.metrics._events",
    "interval_coverage": "tsrec.metrics._interval",
    "interval_width": "tsrec.metrics._interval",
    "mae": "tsrec.metrics._point",
    "mae_scorer": "tsrec.metrics._scorers",
    "mase": "tsrec.metrics._scaled",
    "mase_scorer": "tsrec.metrics._scorers",
    "nab_score": "tsrec.metrics._nab",
    "nab_threshold": "tsrec.metrics._nab",
    "naive_scale": "tsrec.metrics._scale",
    "owa": "tsrec.metrics._scaled",
    "pinball": "tsrec.metrics._quantile",
    "rmse": "tsrec.metrics._point",
    "rmse_scorer": "tsrec.metrics._scorers",
    "rmsse": "tsrec.metrics._scaled",
    "shapley_values": "tsrec.metrics.shapley",
    "smape": "tsrec.metrics._point",
    "smape_scorer": "tsrec.metrics._scorers",
    "wql": "tsrec.metrics._quantile",
}

__all__ = [
    "crps",
    "event_f1",
    "interval_coverage",
    "interval_width",
    "mae",
    "mae_scorer",
    "mase",
    "mase_scorer",
    "nab_score",
    "nab_threshold",
    "naive_scale",
    "owa",
    "pinball",
    "rmse",
    "rmse_scorer",
    "rmsse",
    "shapley_values",
    "smape",
    "smape_scorer",
    "wql",
]

if TYPE_CHECKING:
    from tsrec.metrics._events import event_f1
    from tsrec.metrics._interval import interval_coverage, interval_width
    from tsrec.metrics._nab import nab_score, nab_threshold
    from tsrec.metrics._point import mae, rmse, smape
    from tsrec.metrics._quantile import crps, pinball, wql
    from tsrec.metrics._scale import naive_scale
    from tsrec.metrics._scaled import mase, owa, rmsse
    from tsrec.metrics._scorers import mae_scorer, mase_scorer, rmse_scorer, smape_scorer
    from tsrec.metrics.shapley import shapley_values


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tsrec.metrics' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
