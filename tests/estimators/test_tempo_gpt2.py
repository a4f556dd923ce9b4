"""GPT-2 within TEMPO's estimator: weights of every shape are kept as they were read."""

import numpy as np
import pandas as pd
import pytest

import tsrec
from tsrec import TEMPOForecaster


def test_the_width_of_its_inner_layers_is_kept(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_embd=16, n_head=2, n_layer=2, n_positions=64, vocab_size=50, n_inner=24)
    transformers.GPT2Model(config).save_pretrained(tmp_path / "gpt2")
    y = pd.Series(np.sin(np.arange(300) / 4), pd.date_range("2024", periods=300, freq="h"), name="y")
    options = {"backbone": "gpt2", "weights": str(tmp_path / "gpt2"), "lora_rank": 2, "n_layers": 1, "prompt": "soft"}
    model = TEMPOForecaster(horizon=6, context=96, season=24, max_epochs=1, random_state=0, **options).fit(y)
    assert model.backbone_config_["n_inner"] == 24
    tsrec.save(model, tmp_path / "model.zip")
    pd.testing.assert_series_equal(tsrec.load(tmp_path / "model.zip").predict(), model.predict())
