"""Our models in forecasting.py. A new one is one line of MODELS."""

import ast
import re
from collections.abc import Callable
from typing import Any

import numpy as np

import tsrec

# name -> factory(horizon, season, seed); the season is that of the set's MASE.
Factory = Callable[[int, int, int], Any]
MODELS: dict[str, Factory] = {
    "SeasonalNaive": lambda horizon, season, _: tsrec.SeasonalNaiveForecaster(horizon=horizon, season=season),
    "SeasonalMean": lambda horizon, *_: tsrec.SeasonalMeanForecaster(horizon=horizon),
    "LSSL linear map": lambda horizon, _, seed: tsrec.LSSLForecaster(horizon=horizon, max_epochs=0, random_state=seed),
    "LSSL": lambda horizon, _, seed: tsrec.LSSLForecaster(horizon=horizon, random_state=seed),
}
_CHOICES = (
    "season_",
    "context_",
    "patch_",
    "loss_",
    "penalty_",
    "share_",
    "n_epochs_",
    "recipe_",
)


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
    return {name: _plain(getattr(model, name)) for name in _CHOICES if hasattr(model, name)}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
