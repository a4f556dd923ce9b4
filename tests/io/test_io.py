"""Saved files: every kind of value comes back; nothing foreign is built, nothing is lost when saving fails."""

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

import tsrec
from tsrec.io._codec import decode, encode

INDEXES = [
    pd.RangeIndex(2, 9, 3, name="n"),
    pd.Index([3, 1, 2], dtype="int32"),
    pd.Index(["a", "b"], name=("tuple", 1)),
    pd.Index(["a", 1, None], dtype=object),
    pd.date_range("2024-03-30", periods=4, freq="D", tz="Europe/Berlin", name="t"),
    pd.date_range("2024-03-30", periods=4, freq="h", unit="ns"),
    pd.period_range("2024", periods=3, freq="Q"),
    pd.timedelta_range("1s", periods=3, freq="10ms"),
    pd.MultiIndex.from_product([["a", "b"], pd.date_range("2024", periods=2)], names=["id", None]),
    pd.Index([]),
]


@pytest.mark.parametrize("index", INDEXES, ids=lambda index: type(index).__name__)
def test_indexes_come_back(index):
    arrays = {}
    text = json.dumps(encode(index, arrays, "here"))
    back = decode(json.loads(text), arrays)
    pd.testing.assert_index_equal(back, index)
    assert getattr(back, "freq", None) == getattr(index, "freq", None)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        "text",
        2.5,
        float("inf"),
        (1, [2.0, "x"]),
        {"a": (1,), 2: None},
        np.float64(3.5),
        np.array(["f0", "f1"], dtype=object),
    ],
    ids=repr,
)
def test_plain_values_come_back(value):
    arrays = {}
    back = decode(json.loads(json.dumps(encode(value, arrays, "here"))), arrays)
    if isinstance(value, np.ndarray):
        np.testing.assert_array_equal(back, value)
    else:
        assert back == value
        assert type(back) is (float if isinstance(value, np.float64) else type(value))


def test_frames_come_back():
    frame = pd.DataFrame({"epoch": [1, 2], "loss": [0.5, np.nan], "phase": ["select", "refit"]})
    arrays = {}
    back = decode(json.loads(json.dumps(encode(frame, arrays, "f"))), arrays)
    pd.testing.assert_frame_equal(back, frame, check_dtype=False)


def test_what_cannot_be_saved_is_named_and_the_old_file_survives(tmp_path):
    path = tmp_path / "model.tsrec"
    tsrec.save(tsrec.SeasonalNaiveForecaster(horizon=3), path)
    with pytest.raises(TypeError, match=r"estimator.random_state: a RandomState cannot be saved"):
        tsrec.save(tsrec.LSSLForecaster(random_state=np.random.RandomState(0)), path)
    assert tsrec.load(path).horizon == 3
    assert list(tmp_path.iterdir()) == [path]


def test_foreign_classes_and_files_are_refused(tmp_path):
    path = tmp_path / "f.tsrec"
    for name in ("os.system", "Pipeline", "save"):
        text = json.dumps({"format": 1, "version": "0", "state": {"estimator": name, "state": {}}})
        save_file({}, path, {"tsrec": text})
        with pytest.raises(ValueError, match=f"names the class '{name}'"):
            tsrec.load(path)
    save_file({}, path, {"tsrec": json.dumps({"format": 99, "version": "9.9", "state": None})})
    with pytest.raises(ValueError, match=r"has format 99, written by tsrec 9\.9"):
        tsrec.load(path)
    save_file({"a": np.zeros(1)}, path)
    with pytest.raises(ValueError, match="holds arrays but no estimator"):
        tsrec.load(path)
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"no file written by tsrec\.save"):
        tsrec.load(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        tsrec.load(tmp_path / "absent.tsrec")


def test_history_of_training_is_kept(tmp_path):
    y = pd.Series(np.sin(np.arange(200.0)), pd.date_range("2024", periods=200, freq="h"))
    forecaster = tsrec.LSSLForecaster(horizon=4, context=16, max_epochs=2, random_state=0).fit(y)
    tsrec.save(forecaster, tmp_path / "f")
    back = tsrec.load(tmp_path / "f")
    pd.testing.assert_frame_equal(back.history_, forecaster.history_, check_dtype=False)
    assert back.share_ == forecaster.share_
    pd.testing.assert_frame_equal(back.transform(), forecaster.transform(), rtol=0, atol=0)
