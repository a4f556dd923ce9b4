"""Fitted networks as plain modules of torch, from data in its own units to answers in them: :func:`to_torch`."""

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators._collection import CollectionEstimator
from tsrec.estimators._torch_forecaster import TorchForecaster
from tsrec.estimators.auto import AutoForecaster
from tsrec.estimators.lumamba import LuMambaEncoder
from tsrec.estimators.lumamba_classifier import LuMambaClassifier
from tsrec.interop._declared import DeclaredModule
from tsrec.interop._forecast_module import MeanForecast, NetworkForecast
from tsrec.interop._series_module import RecordingModule, SeriesModule

__all__ = ["DeclaredModule", "to_torch"]


def to_torch(est: Any, *, length: int | None = None) -> DeclaredModule:
    """Turn a fitted network into a plain module of torch, from data in its own units to answers in them.

    All that `predict` does is inside: units of series and windows, the effect of covariates, missing values, linear
    maps, the mean of several networks. Who runs it needs no pandas, and can move it, quantise it, ``torch.export`` it.

    Parameters
    ----------
    est : forecaster, classifier, regressor or encoder
        A fitted one that is a network (LSSL, TCNCA, Mamba, MLP, TEMPO, LuMamba), or an `AutoForecaster` all of whose
        members are.
    length : int, optional
        Steps of the longest series, of classifiers, regressors and encoders; that of the longest in fit when omitted.

    Returns
    -------
    DeclaredModule
        On the CPU, in eval mode. ``input_names`` and ``output_names`` tell what is taken and given by name, and
        ``print(module.describe())`` with shapes: for a forecaster ``context`` (B, L, C), where it learned from them
        ``known`` (B, L + H, K) covariates of context and horizon, ``past`` (B, L, P) and ``static`` (B, S), and, of
        named series, ``series`` (B,), the place in ``module.ids`` or -1; it gives ``forecast`` (B, H, C) and
        ``quantiles`` (B, H, C, Q). Others take ``values`` (B, L, C) and, but for recordings, ``lengths`` (B,), and give
        ``probabilities``, ``prediction`` or ``embedding``.

    Raises
    ------
    TypeError
        If the estimator is no network; of an `AutoForecaster` the member is named.
    ValueError
        If something that it learned from cannot be told to a module.

    Examples
    --------
    >>> import numpy as np, pandas as pd, torch
    >>> from tsrec import LSSLForecaster
    >>> day = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 30)
    >>> y = pd.Series(day, pd.date_range("2024-01-01", periods=720, freq="h"))
    >>> forecaster = LSSLForecaster(horizon=24, context=72, max_epochs=0).fit(y)
    >>> module = to_torch(forecaster)
    >>> module.input_names, module.output_names
    (('context',), ('forecast', 'quantiles'))
    >>> context = torch.tensor(y.to_numpy()[-module.context:]).reshape(1, -1, 1)
    >>> found = module(context=context)["forecast"]
    >>> bool(np.allclose(found[0, :, 0], forecaster.predict(), atol=1e-5))
    True
    """
    if not isinstance(est, BaseEstimator):
        raise TypeError(
            f"found {type(est).__name__}, no estimator of tsrec. Give a fitted one; adapters of sktime hold theirs as "
            "forecaster_, estimator_ or encoder_."
        )
    check_is_fitted(est)
    return _module(est, length).eval()


def _module(est: Any, length: int | None) -> DeclaredModule:
    if isinstance(est, CollectionEstimator):
        return SeriesModule(est, _length(length, est.length_))
    if isinstance(est, LuMambaEncoder | LuMambaClassifier):
        return _of_recordings(est, length)
    if length is not None:
        raise ValueError(f"length: found {length!r}, but {type(est).__name__} has a context of its own. Leave it out.")
    if isinstance(est, AutoForecaster):
        return _of_members(est)
    _check_network(est, type(est).__name__)
    return NetworkForecast(est)


def _length(given: int | None, usual: int) -> int:
    if given is not None and (isinstance(given, bool) or not isinstance(given, int) or given < 1):
        raise ValueError(f"length: found {given!r}. Give a number of steps, at least 1.")
    return usual if given is None else given


def _of_recordings(est: LuMambaEncoder | LuMambaClassifier, length: int | None) -> RecordingModule:
    """The module of an encoder, or of a classifier with its own."""
    encoder = est if isinstance(est, LuMambaEncoder) else est.encoder_
    for name in ("band", "notch"):
        if getattr(encoder, name) is not None:
            raise ValueError(
                f"{name}: the encoder filters whole recordings, which no module can. Filter them yourself, and export "
                f"what set_params({name}=None) makes of it."
            )
    samples = _length(length, encoder.n_patches_ * encoder.architecture_["patch"])
    if isinstance(est, LuMambaEncoder):
        return RecordingModule(encoder, None, [], samples)
    return RecordingModule(encoder, est.module_, est.classes_.tolist(), samples)


def _of_members(est: AutoForecaster) -> DeclaredModule:
    modules = []
    for name, member in est.members_.items():
        _check_network(member, f"AutoForecaster: its member {name!r}, {type(member).__name__},")
        modules.append(NetworkForecast(member))
    if len(modules) == 1:
        return modules[0]
    return MeanForecast(modules, list(est.weights_.values()))


def _check_network(est: Any, named: str) -> None:
    """Refuse what is no network, and what a network was told that a module cannot be."""
    if not isinstance(est, TorchForecaster):
        raise TypeError(
            f"{named} is no network and has no module. Give a fitted LSSL, TCNCA, Mamba, MLP or TEMPO estimator, a "
            "LuMamba, or an AutoForecaster whose members are such."
        )
    if hasattr(est, "set_seasons_"):
        raise ValueError(
            f"{named} learned from several sets, whose steps differ. Fine-tune it with fit(rows, warm_start=True), and "
            "export that."
        )
    factor = getattr(est, "_factor", None)
    if factor is not None and factor(est.panel_) != 1:
        raise ValueError(
            f"{named} counts {est.season_steps_} steps to a season, its history another number, and a module cannot go "
            "from one to the other. Fit anew on the history alone."
        )
