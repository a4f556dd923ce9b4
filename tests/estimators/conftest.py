"""Forecasters that every contract test runs on, small enough to be fitted hundreds of times."""

import pytest

from tsrec import (
    STL,
    AutoForecaster,
    CleanedForecaster,
    ConformalForecaster,
    DecompositionForecaster,
    EnsembleForecaster,
    LSSLForecaster,
    MambaForecaster,
    MLPForecaster,
    RetrievalForecaster,
    SeasonalMeanForecaster,
    SeasonalNaiveForecaster,
    StatsForecaster,
    TCNCAForecaster,
    TEMPOForecaster,
    ThetaForecaster,
)

FORECASTERS = {
    "naive": SeasonalNaiveForecaster(horizon=5, season=3),
    "mean": SeasonalMeanForecaster(horizon=5, season=3, context=9),
    "theta": ThetaForecaster(horizon=5, season=3),
    "lssl": LSSLForecaster(
        horizon=5, season=3, context=12, patch=4, d_model=4, d_state=4, max_epochs=1, random_state=0
    ),
    "tcnca": TCNCAForecaster(
        horizon=5,
        season=3,
        context=12,
        patch=2,
        d_model=4,
        chunk=4,
        max_epochs=1,
        linear=None,
        gated=True,
        random_state=0,
    ),
    "mamba": MambaForecaster(
        horizon=5, season=3, context=12, patch=2, d_model=4, d_state=3, max_epochs=1, linear=None, random_state=0
    ),
    "ridge": LSSLForecaster(horizon=5, season=3, context=12, max_epochs=0, random_state=0),
    "mlp": MLPForecaster(
        horizon=5, season=3, context=12, d_model=4, max_epochs=1, linear=None, loss="owa", n_members=2, random_state=0
    ),
    "decomposition": DecompositionForecaster(
        STL(3),
        {"seasonal": SeasonalNaiveForecaster(season=3), "rest": LSSLForecaster(season=3, context=12, max_epochs=0)},
        horizon=5,
        season=3,
        random_state=0,
    ),
    "tempo": TEMPOForecaster(
        horizon=5, season=3, context=12, patch=4, d_model=4, d_head=2, max_epochs=1, linear=None, random_state=0
    ),
    "analogues": RetrievalForecaster(horizon=5, season=3, context=9, k=4),
    "analogues of a base": RetrievalForecaster(
        LSSLForecaster(season=3, context=12, max_epochs=0), horizon=5, season=3, context=9, k=4, mix="gate"
    ),
    "raft": RetrievalForecaster(
        horizon=5,
        season=3,
        context=9,
        k=4,
        mix="linear",
        align="future",
        similarity="pearson",
        views=(2, 1),
        joint=True,
    ),
    "ensemble": EnsembleForecaster(
        {
            "last season": SeasonalNaiveForecaster(horizon=5, season=3),
            "linear map": LSSLForecaster(horizon=5, season=3, context=12, max_epochs=0, random_state=0),
        },
        weights="backtest",
        season=3,
    ),
    "conformal": ConformalForecaster(ThetaForecaster(horizon=5, season=3)),
    # So high a bar that what the contract does to a history counts.
    "cleaned": CleanedForecaster(ThetaForecaster(horizon=5, season=3), missing="seasonal", threshold=1e6),
    "theta of statsmodels": StatsForecaster("theta", horizon=5, season=3),
    "auto": AutoForecaster(horizon=5, season=3, random_state=0),
}
# Searches that take seconds; that of ARIMA, of the same class, has tests of its own.
SLOW = {"ets of statsmodels": StatsForecaster("ets", horizon=5, season=3)}


# Beside LSSL and MLP they are the same classes around another module, or around these, and have tests of their own.
LATER = (
    "tcnca",
    "mamba",
    "tempo",
    "auto",
    "analogues of a base",
    "raft",
    "conformal",
    "cleaned",
    "theta of statsmodels",
    *SLOW,
)


@pytest.fixture(params=[pytest.param(n, marks=[pytest.mark.slow] * (n in LATER)) for n in (*FORECASTERS, *SLOW)])
def forecaster(request):
    from sklearn.base import clone

    return clone({**FORECASTERS, **SLOW}[request.param])


class EpochCounter:
    """A callback of scikit-learn that counts epochs, and asks to stop after so many."""

    def __init__(self, most=None):
        self.seen, self.most = 0, most

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.seen += context.task_name == "epoch"
        return self.most is not None and self.seen >= self.most


@pytest.fixture
def epoch_counter():
    """The class, where scikit-learn has callbacks."""
    callback = pytest.importorskip("sklearn.callback")
    assert isinstance(EpochCounter(), callback.FitCallback)
    return EpochCounter
