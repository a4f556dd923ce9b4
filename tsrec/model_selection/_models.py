"""The forecasters of a backtest: one, or several under their names."""

from collections import Counter
from typing import Any

from tsrec.frames import Panel
from tsrec.model_selection._checks import check_whole


def named_models(forecaster: Any) -> dict[str, Any]:
    """Forecasters by name; those of a list, and a single one, are called after their classes.

    Raises
    ------
    TypeError
        If one is no forecaster of this package.
    ValueError
        If there are none, two have the same name, or a horizon is no whole number.
    """
    if isinstance(forecaster, dict):
        models = {str(name): model for name, model in forecaster.items()}
        if len(models) < len(forecaster):
            raise ValueError(
                f"forecaster: some of its keys {list(forecaster)} read alike. Give each a name of its own."
            )
    elif isinstance(forecaster, list | tuple):
        models = dict(zip(_names(forecaster), forecaster, strict=True))
    else:
        models = {type(forecaster).__name__: forecaster}
    if not models:
        raise ValueError("forecaster: found none. Give a forecaster, or a dict or list of them.")
    for name, model in models.items():
        where = "forecaster" if model is forecaster else f"forecaster: {name!r}"
        if isinstance(model, type) or not hasattr(model, "predict_cutoffs"):
            raise TypeError(
                f"{where}: found {_kind(model)}. Give a forecaster of tsrec itself; of a search, its "
                "best_estimator_; of a Pipeline, its last step with X transformed."
            )
        check_whole(**{f"horizon of the {where}": _horizon_of(model)})
    return models


def _names(forecasters: Any) -> list[str]:
    """Names of classes; numbered where one occurs more than once."""
    names = [type(model).__name__ for model in forecasters]
    counts, seen = Counter(names), Counter[str]()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(f"{name}-{seen[name]}" if counts[name] > 1 else name)
    return numbered


def _horizon_of(model: Any) -> Any:
    """Its horizon; one that is made of others may leave it to them."""
    return model.horizon if model.horizon is not None else model._horizon()


def _kind(found: Any) -> str:
    return f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"


def common_horizon(models: dict[str, Any], horizon: Any) -> int:
    """Steps to forecast: as asked, or as many as all models can.

    Raises
    ------
    ValueError
        If that is no whole number, or more than a model can.
    """
    most = min(_horizon_of(model) for model in models.values())
    if horizon is None:
        return int(most)
    check_whole(horizon=horizon)
    if horizon > most:
        whose = "the horizon of the forecaster" if len(models) == 1 else "the shortest horizon of the forecasters"
        raise ValueError(f"horizon: found {horizon}. Give 1 to {most}, {whose}.")
    return int(horizon)


def check_beside(model: Any, X: Any, past: Any) -> None:
    """Refuse covariates that a fitted model was not fitted with, and none where it was.

    Raises
    ------
    ValueError
        If they are missing, or not expected.
    """
    learned: Panel | None = getattr(model, "panel_", None)
    if learned is None:
        return
    counts = {"X": (X, learned.n_covariates, "covariates"), "past": (past, learned.past.shape[1], "past covariates")}
    for name, (given, count, what) in counts.items():
        if (given is None) != (count == 0):
            raise ValueError(
                f"{name}: found {'None' if given is None else what}, but the forecaster was fitted with "
                f"{count or 'no'} {what}. Give {name}=, rows of what it was fitted with, or a forecaster "
                "that is not fitted."
            )
