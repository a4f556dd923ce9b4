"""Small fitted networks of all families, and what their modules are to be given."""

import numpy as np
import pandas as pd
import pytest
import torch

import tsrec

SMALL = {"horizon": 5, "season": 12, "context": 36, "max_epochs": 1, "random_state": 0, "quantiles": (0.1, 0.5, 0.9)}
FORECASTERS = {
    "lssl": tsrec.LSSLForecaster(patch=4, d_model=4, d_state=4, linear="ridge", **SMALL),
    "structural": tsrec.LSSLForecaster(patch=6, d_model=4, d_state=4, linear="structural", **{**SMALL, "context": 48}),
    "ridge": tsrec.LSSLForecaster(**{**SMALL, "max_epochs": 0}),
    "mlp": tsrec.MLPForecaster(d_model=8, n_members=2, **SMALL),
    "mamba": tsrec.MambaForecaster(patch=4, d_model=4, d_state=3, linear=None, normalisation="level", **SMALL),
    "tcnca": tsrec.TCNCAForecaster(patch=4, d_model=4, chunk=4, linear="learned", **SMALL),
    "tempo": tsrec.TEMPOForecaster(patch=6, d_model=4, d_head=2, linear=None, **SMALL),
    "tempo, attention": tsrec.TEMPOForecaster(patch=6, d_model=4, backbone="transformer", prompt="pool", **SMALL),
    "tempo, chunks": tsrec.TEMPOForecaster(patch=6, d_model=4, backbone="tcnca", prompt=None, linear=None, **SMALL),
}


def make_panel(names=("a", "b", "c"), length=120, seed=0):
    """Two variables of some series, hourly, far from zero, with holes."""
    rng = np.random.default_rng(seed)
    hours = pd.date_range("2024-03-01", periods=length, freq="h")
    index = pd.MultiIndex.from_product([list(names), hours], names=["series", "time"])
    steps = np.arange(length)
    level = rng.uniform(50, 200, (len(names), 1, 2))
    day = np.sin(steps / 12 * 2 * np.pi)[None, :, None] * rng.uniform(1, 9, (len(names), 1, 2))
    values = level + day + rng.normal(size=(len(names), length, 2))
    values[rng.random(values.shape) < 0.05] = np.nan
    return pd.DataFrame(values.reshape(-1, 2), index=index, columns=["sales", "visits"])


@pytest.fixture(scope="session")
def panel():
    return make_panel()


def last_rows(frame, count):
    """The latest rows of each series as (n, count, columns), NaN in front where there are fewer."""
    found = np.full((frame.index.get_level_values(0).nunique(), count, frame.shape[1]), np.nan)
    for row, (_, own) in zip(found, frame.groupby(level=0, sort=False), strict=True):
        latest = own.to_numpy(dtype=np.float64)[-count:]
        if len(latest):
            row[-len(latest) :] = latest
    return found


def answers(forecaster, **asked):
    """Forecast (n, H, C) and quantiles (n, H, C, Q) of all series."""
    point = forecaster.predict(**asked)
    levels = forecaster.levels_.tolist()
    quantiles = forecaster.predict_quantiles(**asked, levels=levels)
    shape = -1, forecaster.horizon, point.shape[1]
    return point.to_numpy().reshape(shape), quantiles.to_numpy().reshape(*shape, len(levels))


def near(found, wanted, tolerance):
    """Whether all numbers differ by less than a tolerance, relative to their size."""
    found, wanted = np.asarray(found, dtype=np.float64), np.asarray(wanted, dtype=np.float64)
    return bool((np.abs(found - wanted) <= tolerance * (1 + np.abs(wanted))).all())


def run(module, **given):
    """What a module answers, as arrays."""
    with torch.no_grad():
        found = module(**{name: torch.from_numpy(np.array(part)) for name, part in given.items()})
    return {name: part.numpy() for name, part in found.items()}


def awake(forecaster):
    """The forecaster with all weights drawn anew and all shares 1, so that no part of it is silent."""
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, one in forecaster.module_.state_dict().items():
            if name.split(".")[-1] in ("shrink", "covariate_share", "spread_share"):
                one.fill_(1.0)
            elif name.endswith("past_map"):
                one.copy_(0.1 * torch.randn(one.shape, generator=draws))
        for one in forecaster.module_.parameters():
            one.add_(0.1 * torch.randn(one.shape, generator=draws))
    return forecaster
