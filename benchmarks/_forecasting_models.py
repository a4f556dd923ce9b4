"""Our models in forecasting.py. A new one is one line of MODELS."""

import ast
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

import tsrec
from tsrec.frames import Panel
from tsrec.layers.mlp import PointwiseMLP
from tsrec.layers.residual import ResidualStack


class WithoutMixing(tsrec.LSSLForecaster):
    """`LSSLForecaster` with layers of the same shape that look at each patch by itself: what recurrence adds."""

    def _mixer(self, generator: torch.Generator) -> torch.nn.Module:
        layers = [PointwiseMLP(self.d_model, dropout=self.dropout_, generator=generator) for _ in range(self.n_layers)]
        return ResidualStack(layers, dropout=self.dropout_)


class OneMap(tsrec.LSSLForecaster):
    """`LSSLForecaster` whose variables share one linear map: what maps of their own add."""

    def _choose(self, panel: Panel) -> None:
        super()._choose(panel)
        self.maps_ = 1


# name -> factory(horizon, season, seed); the season is that of the set's MASE.
Factory = Callable[[int, int, int], Any]
MODELS: dict[str, Factory] = {
    "SeasonalNaive": lambda horizon, season, _: tsrec.SeasonalNaiveForecaster(horizon=horizon, season=season),
    "SeasonalMean": lambda horizon, *_: tsrec.SeasonalMeanForecaster(horizon=horizon),
    "LSSL linear map": lambda horizon, _, seed: tsrec.LSSLForecaster(
        horizon=horizon, linear="ridge", max_epochs=0, random_state=seed
    ),
    "LSSL linear map, one for all": lambda horizon, _, seed: OneMap(
        horizon=horizon, linear="ridge", max_epochs=0, random_state=seed
    ),
    "LSSL": lambda horizon, _, seed: tsrec.LSSLForecaster(horizon=horizon, random_state=seed),
    "TCNCA": lambda horizon, _, seed: tsrec.TCNCAForecaster(horizon=horizon, random_state=seed),
    "Mamba": lambda horizon, _, seed: tsrec.MambaForecaster(horizon=horizon, random_state=seed),
    "TEMPO": lambda horizon, _, seed: tsrec.TEMPOForecaster(horizon=horizon, random_state=seed),
    # Without the linear map, as in the paper; what is left out in an ablation is set by name=value.
    "TEMPO, no map": lambda horizon, _, seed: tsrec.TEMPOForecaster(
        horizon=horizon,
        context=336,
        season=24,
        linear=None,
        normalisation="last",
        dropout=0.2,
        decomposition="learned-stl",
        max_epochs=8,
        random_state=seed,
    ),
    "LSSL without mixing": lambda horizon, _, seed: WithoutMixing(horizon=horizon, random_state=seed),
    "MLP": lambda horizon, _, seed: tsrec.MLPForecaster(horizon=horizon, random_state=seed),
    "Theta": lambda horizon, *_: tsrec.ThetaForecaster(horizon=horizon),
    "Auto": lambda horizon, _, seed: tsrec.AutoForecaster(horizon=horizon, random_state=seed),
}
# Fitted attributes that tell nothing about the model, and the most entries of one that is written down.
_BORING = ("horizon_", "targets_itself_", "n_features_", "n_features_in_")
_LONGEST = 40


def model_named(name: str) -> Factory:
    """The factory of "LSSL", or of "LSSL:context=336,max_epochs=2", which sets parameters of it."""
    base, _, settings = name.partition(":")
    if base not in MODELS:
        raise SystemExit(f"--model: {base!r} is not known. Give one of {sorted(MODELS)}, with or without settings.")
    parameters = dict(_setting(piece) for piece in re.split(r",(?=\s*\w+=)", settings) if piece)
    return lambda horizon, season, seed: MODELS[base](horizon, season, seed).set_params(**parameters)


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name.strip(), value


def is_random(model: Any) -> bool:
    """Whether another seed gives another answer."""
    parameters = model.get_params()
    return "random_state" in parameters and parameters.get("max_epochs") != 0


def parameters_of(model: Any) -> dict[str, Any]:
    """The constructor's parameters, as JSON can hold them."""
    return {name: _plain(value) for name, value in model.get_params(deep=False).items()}


def choices_of(model: Any) -> dict[str, Any]:
    """What the fit chose."""
    found = {}
    for name, value in vars(model).items():
        told = isinstance(value, str | int | float | np.generic | dict | tuple)
        if name.endswith("_") and told and name not in _BORING and (np.isscalar(value) or len(value) <= _LONGEST):
            found[name] = _plain(value)
    return found


def warm_up(factory: Factory) -> None:
    """Imports and just-in-time compilation are not the model's time."""
    index = pd.date_range("2024-01-01", periods=120, freq="D")
    factory(2, 1, 0).fit(pd.DataFrame({"y": np.sin(np.arange(120.0))}, index)).predict()


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
