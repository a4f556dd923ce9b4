"""Quantiles never cross: of every forecaster, at any levels, for any history, and however far the blocks roll on."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from tests.estimators.conftest import FORECASTERS
from tsrec.estimators._quantiles import at_levels

DAYS = pd.date_range("2024-01-01", periods=90, freq="D")


@pytest.fixture(scope="module", params=list(FORECASTERS))
def fitted(request):
    rng = np.random.default_rng(0)
    values = 10 + np.tile([0.0, 3.0, -2.0], 30) + rng.normal(size=90)
    return clone(FORECASTERS[request.param]).fit(pd.Series(values, DAYS, name="y"))


@st.composite
def histories(draw):
    """Noise of any size, constants, steps, heavy tails, some with holes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 90))
    kind = draw(st.sampled_from(["noise", "constant", "step", "tails", "counts", "trend"]))
    values = {
        "noise": rng.normal(size=n),
        "constant": np.full(n, 4.0),
        "step": np.where(np.arange(n) < n // 2, 0.0, 7.0),
        "tails": rng.standard_cauchy(size=n),
        "counts": rng.poisson(0.3, size=n).astype(float),
        "trend": np.arange(n) ** 2.0,
    }[kind] * draw(st.sampled_from([1e-6, 1.0, 1e6]))
    values[rng.random(n) < draw(st.sampled_from([0.0, 0.4]))] = np.nan
    if np.isnan(values).all():
        values[0] = 1.0
    return pd.Series(values, DAYS[:n], name="y")


def test_levels_a_rounding_error_apart_do_not_cross():
    rng = np.random.default_rng(0)
    known = np.array([0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975])
    wanted = np.sort(np.concatenate([known, np.nextafter(known, 0), np.nextafter(known, 1)]))
    quantiles = np.sort(rng.normal(size=(5000, 7)), axis=1) * 10 ** rng.uniform(-3, 6, size=(5000, 1)) + 1e6
    assert (np.diff(at_levels(quantiles, known, wanted), axis=1) >= 0).all()


@given(
    y=histories(),
    levels=st.lists(st.floats(1e-4, 1 - 1e-4), min_size=2, max_size=12, unique=True),
    steps=st.sampled_from([5, 14]),
    cutoff=st.integers(0, 90),
)
@settings(deadline=None, max_examples=6, derandomize=True)
def test_quantiles_never_cross(fitted, y, levels, steps, cutoff):
    with warnings.catch_warnings():
        # Overflows of values squared are no matter here: the order is.
        warnings.simplefilter("ignore", RuntimeWarning)
        table = fitted.predict_quantiles(steps, levels, history=y)
    assert np.isfinite(table).all(axis=None)
    assert (np.diff(table.to_numpy(), axis=1) >= 0).all()
    answers = fitted.predict_cutoffs(y, np.array([[0, min(cutoff, len(y))]]))
    assert (np.diff(answers[..., 1:], axis=-1) >= 0).all()
