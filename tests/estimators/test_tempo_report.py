"""What TEMPO tells of itself, over panels of any lengths and steps, and without a branch."""

import numpy as np
import pandas as pd
import pytest

from tsrec import TEMPOForecaster
from tsrec.estimators import _tempo_report
from tsrec.estimators._tempo_report import spread_cutoffs
from tsrec.frames import read_panel

OPTIONS = {"horizon": 6, "context": 48, "season": 24, "d_model": 8, "max_epochs": 1, "random_state": 0}


def series(n, freq="h", period=24, level=0.0, seed=0):
    noise = np.random.default_rng(seed).normal(size=n) / 10
    day = level + np.sin(np.arange(n) / period * 2 * np.pi) + noise
    return pd.Series(day, pd.date_range("2024", periods=n, freq=freq), name="y")


def panel(*lengths):
    return pd.concat({f"s{i}": series(n, seed=i) for i, n in enumerate(lengths)}, names=["series", "time"])


def test_cutoffs_are_spread_over_series_of_all_lengths():
    found = spread_cutoffs(read_panel(panel(200, 20, 6, 60)), 48, 6)
    assert np.unique(found[:, 0]).tolist() == [0, 1, 3]
    assert found[found[:, 0] == 1].tolist() == [[1, 14]]
    assert found[found[:, 0] == 3, 1].tolist() == list(range(48, 55))
    long = found[found[:, 0] == 0, 1]
    assert (long.min(), long.max()) == (48, 194)
    many = spread_cutoffs(read_panel(panel(5000, 5000)), 48, 6)
    assert len(many) == 512
    assert np.bincount(many[:, 0]).tolist() == [256, 256]


def test_short_series_count_in_what_components_are_worth():
    y = panel(200, 40, 40)
    model = TEMPOForecaster(**OPTIONS).fit(y)
    whole = model.explain().attrs["errors"]["nothing"]
    assert whole != model.explain(y.loc[["s0"]]).attrs["errors"]["nothing"]


@pytest.mark.parametrize("prompt", ["pool", "soft"])
def test_a_history_of_another_frequency_is_explained_from_all_rows_it_is_forecast_from(prompt):
    sets = {"hours": series(400), "quarters": series(1200, "15min", 96)}
    model = TEMPOForecaster(**{**OPTIONS, "season": "auto"}, prompt=prompt, pool_size=4, top_k=1).fit(sets)
    y = series(900, "15min", 96, level=5.0)
    values = y.to_numpy()
    rows, errors = 48 * 4, []
    cutoffs = spread_cutoffs(read_panel(y), rows, 6)[:, 1]
    truth = np.stack([values[at : at + 6] for at in cutoffs])
    for at, one in zip(cutoffs, truth, strict=True):
        errors.append((one - values[at - rows : at].mean()) ** 2)
    found = model.explain(y).attrs["errors"]["nothing"]
    np.testing.assert_allclose(found, [np.mean(errors) / truth.var()])
    if prompt == "pool":
        assert model.prompt_report(y).shape == (4, 3)


def test_cutoffs_are_brought_to_the_module_in_pieces(monkeypatch):
    model = TEMPOForecaster(**OPTIONS, prompt="pool", pool_size=4, top_k=1).fit(series(900))
    sizes, prepared = [], model._prepared
    monkeypatch.setattr(model, "_prepared", lambda y, c: sizes.append(len(c)) or prepared(y, c), raising=False)
    report = model.prompt_report()
    assert sizes == [256, 256]
    monkeypatch.setattr(_tempo_report, "_CHUNK", 1000)
    pd.testing.assert_frame_equal(model.prompt_report(), report)


@pytest.mark.parametrize("options", [{"max_epochs": 0}, {"decomposition": None}])
def test_a_single_component_holds_the_level(options):
    y = series(400, level=100.0)
    model = TEMPOForecaster(**{**OPTIONS, **options}).fit(y)
    values = model.explain()
    assert len(values) == 1
    errors = values.attrs["errors"]
    assert errors[values.index[0]][0] < 0.1
    np.testing.assert_allclose(values.to_numpy().sum(), errors[values.index[0]][0] - errors["nothing"][0])


def test_rows_that_tell_nothing_are_named():
    model = TEMPOForecaster(**OPTIONS).fit(series(200))
    with pytest.raises(ValueError, match="no series has more than 6 rows, the horizon"):
        model.explain(series(6))
    assert np.isfinite(model.explain(series(7)).to_numpy()).all()
    with pytest.raises(ValueError, match="y: no value is observed"):
        model.explain(series(100) * np.nan)
