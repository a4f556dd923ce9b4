"""Saved files: fitted estimators come back; nothing foreign is built, nothing is lost when saving fails."""

import contextlib
import json

import numpy as np
import pandas as pd
import pyarrow
import pytest
import sklearn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

import tsrec


def fitted(ids=None, columns=("a.b", "a"), **options):
    """A forecaster of a panel whose series and columns have the given labels."""
    times = pd.date_range("2024", periods=30, freq="h", tz=options.pop("tz", None))
    values = np.arange(60.0).reshape(30, 2) % 7
    if ids is None:
        frame = pd.DataFrame(values, index=times)
    else:
        parts = [times.repeat(1)] * len(ids)
        index = pd.MultiIndex.from_arrays(
            [ids.repeat(len(times)), parts[0].append(parts[1:])], names=[ids.name or "id", "time"]
        )
        frame = pd.DataFrame(np.tile(values, (len(ids), 1)), index=index)
    return tsrec.SeasonalNaiveForecaster(horizon=3, **options).fit(frame.set_axis(pd.Index(columns), axis=1))


def saved_and_loaded(estimator, tmp_path):
    tsrec.save(estimator, tmp_path / "model.tsrec")
    return tsrec.load(tmp_path / "model.tsrec")


@pytest.mark.parametrize(
    "ids",
    [
        pd.Index(["a", "b"]),
        pd.Index(["a", "b"], dtype="string"),
        pd.Index(["a", "b"], dtype=object),
        pd.Index(["a", "b"], dtype=pd.ArrowDtype(pyarrow.string())),
        pd.Index([1, 2], dtype="Int64"),
        pd.Index([1, 2], dtype="int64[pyarrow]"),
        pd.Index([1.5, 2.5], dtype="Float64"),
        pd.Index([1, 2], dtype="int8"),
        pd.Index([False, True]),
        pd.CategoricalIndex(["a", "b"], categories=["b", "a", "c"], ordered=True),
        pd.date_range("2020", periods=2, tz="Asia/Kathmandu"),
    ],
    ids=lambda ids: str(ids.dtype),
)
def test_series_and_columns_keep_their_labels(ids, tmp_path):
    forecaster = fitted(ids, columns=ids)
    back = saved_and_loaded(forecaster, tmp_path)
    for found, expected in ((back.panel_.ids, forecaster.panel_.ids), (back.form_.columns, forecaster.form_.columns)):
        pd.testing.assert_index_equal(found, expected, exact=True)
        assert found.dtype == expected.dtype
    pd.testing.assert_frame_equal(back.predict(), forecaster.predict())


def test_a_panel_in_a_zone_of_fixed_offset_comes_back(tmp_path):
    forecaster = fitted(tz="UTC+05:30")
    pd.testing.assert_frame_equal(saved_and_loaded(forecaster, tmp_path).predict(), forecaster.predict())


def test_what_cannot_be_saved_is_named_and_the_old_file_survives(tmp_path):
    path = tmp_path / "model.tsrec"
    tsrec.save(tsrec.SeasonalNaiveForecaster(horizon=3), path)
    with pytest.raises(TypeError, match=r"estimator.random_state: a RandomState cannot be saved.*by an int"):
        tsrec.save(tsrec.LSSLForecaster(random_state=np.random.RandomState(0)), path)
    with pytest.raises(TypeError, match=r"estimator.device: a device cannot be saved.*Give its name"):
        tsrec.save(tsrec.LSSLForecaster(device=torch.device("cpu")), path)
    stray = tsrec.SeasonalNaiveForecaster()
    stray.note = "mine"
    with pytest.raises(TypeError, match=r"estimator.note: neither a parameter nor learned"):
        tsrec.save(stray, path)
    for foreign in (5, [tsrec.SeasonalNaiveForecaster()], sklearn.base.BaseEstimator(), tsrec.SeasonalNaiveForecaster):
        with pytest.raises(TypeError, match="Give an estimator of tsrec"):
            tsrec.save(foreign, path)
    assert tsrec.load(path).horizon == 3
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder '.*absent'"):
        tsrec.save(tsrec.SeasonalNaiveForecaster(), tmp_path / "absent" / "f")


def test_a_name_as_long_as_names_may_be_is_no_matter(tmp_path):
    tsrec.save(tsrec.SeasonalNaiveForecaster(horizon=3), tmp_path / ("n" * 255))
    assert tsrec.load(tmp_path / ("n" * 255)).horizon == 3


def test_foreign_classes_and_files_are_refused(tmp_path):
    path = tmp_path / "f.tsrec"
    for name in ("os.system", "Pipeline", "save", None, ["save"]):
        text = json.dumps({"format": 1, "version": "0", "state": {"estimator": name, "state": {}, "requests": None}})
        save_file({}, path, {"tsrec": text})
        with pytest.raises(ValueError, match=r"names the class|unhashable"):
            tsrec.load(path)
    save_file({}, path, {"tsrec": json.dumps({"format": 99, "version": "9.9", "state": None})})
    with pytest.raises(ValueError, match=r"has format 99, written by tsrec 9\.9"):
        tsrec.load(path)
    save_file({"a": np.zeros(1)}, path)
    with pytest.raises(ValueError, match="holds arrays but no estimator"):
        tsrec.load(path)
    for content in (b"not a model", b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"no file written by tsrec\.save"):
            tsrec.load(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        tsrec.load(tmp_path / "absent.tsrec")


NAIVE = {"estimator": "SeasonalNaiveForecaster", "state": {}, "requests": {"dict": []}}
HEADERS = {
    "{": "cannot be loaded",
    "[" * 100_000: "cannot be loaded",
    "5": "names no format",
    json.dumps({"version": "0", "state": NAIVE}): "names no format",
    json.dumps({"format": "1", "version": "0", "state": NAIVE}): "names no format",
    json.dumps({"format": True, "version": "0", "state": NAIVE}): "names no format",
    json.dumps({"format": 1, "state": NAIVE}): "its header has the keys",
    json.dumps({"format": 1, "version": "0", "state": NAIVE, "more": 1}): "its header has the keys",
    json.dumps({"format": 1, "version": "0", "state": 5}): "its state is no estimator",
    json.dumps({"format": 1, "version": "0", "state": {}}): "its state is no estimator",
    json.dumps({"format": 1, "version": "0", "state": {"list": []}}): "its state is no estimator",
    json.dumps({"format": 1, "version": "0", "state": {**NAIVE, "state": 5}}): "cannot be loaded",
    json.dumps({"format": 1, "version": "0", "state": {**NAIVE, "more": 5}}): "has the keys",
}


@pytest.mark.parametrize("text", HEADERS, ids=range(len(HEADERS)))
def test_malformed_headers_are_refused(text, tmp_path):
    save_file({}, tmp_path / "f", {"tsrec": text})
    with pytest.raises(ValueError, match=HEADERS[text]):
        tsrec.load(tmp_path / "f")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("predict", 5, "names the attribute 'predict'"),
        ("_fit_panel", 5, "names the attribute '_fit_panel'"),
        ("__class__", 5, "names the attribute '__class__'"),
        ("__dict__", {"dict": []}, "names the attribute '__dict__'"),
        ("_x_", 5, "names the attribute '_x_'"),
        ("note", 5, "names the attribute 'note'"),
        ("module_", {"dict": []}, "_restore_module"),
        ("level_", {"array": "7", "dtype": None}, "the array '7', which is absent"),
        ("level_", {"array": ["0"], "dtype": None}, "which is absent"),
        ("level_", {"array": "0", "dtype": "object"}, "an array of 'object'"),
        ("level_", {"array": "0"}, "has the keys"),
        ("level_", {"array": "0", "dtype": "datetime64[ns]"}, "cannot be loaded"),
        ("level_", {"labels": ["a"], "shape": [1000], "dtype": "O"}, "1 labels"),
        ("level_", {"labels": [5], "shape": [1], "dtype": "U3"}, "an array of text"),
        ("level_", {"labels": ["a"], "shape": [1], "dtype": "V8"}, "labels of 'V8'"),
        ("level_", [1, 2], "it holds a 'list'"),
        ("level_", {}, "it holds a None"),
        ("level_", {"list": 5}, "a int stands where a list belongs"),
        ("level_", {"eval": "1"}, "it holds a 'eval'"),
        ("level_", {"float": "1e3"}, "it holds the float"),
        ("level_", {"float": 5}, "it holds the float"),
        ("level_", {"missing": "x"}, "KeyError"),
        ("level_", {"zone": "../../etc/passwd"}, "cannot be loaded"),
        ("level_", {"zone": "Nowhere/Land"}, "Nowhere/Land"),
        ("level_", {"zone": 10**30}, "cannot be loaded"),
        ("level_", {"offset": "no frequency"}, "no frequency"),
        ("level_", {"index": "odd", "parts": {"list": []}, "names": [None]}, "odd"),
        ("level_", {"index": "range", "parts": {"list": [1]}, "names": [None]}, "cannot be loaded"),
        (
            "level_",
            {"index": "extension", "parts": {"list": [{"list": ["odd", ""]}, {"list": []}]}, "names": [None]},
            "it holds the dtype",
        ),
        ("level_", {"dict": [[{"list": []}, 1]]}, "unhashable"),
        ("level_", {"record": "Popen", "state": {}}, "holds a 'Popen'"),
        ("level_", {"record": "Form", "state": {"kind": "array"}}, "a Form has the fields"),
    ],
)
def test_states_that_no_estimator_has_are_refused(name, value, message, tmp_path):
    state = {**NAIVE, "state": {name: value}}
    text = json.dumps({"format": 1, "version": "0", "state": state})
    save_file({"0": np.zeros(3, dtype=np.int8)}, tmp_path / "f", {"tsrec": text})
    with pytest.raises(ValueError, match=message):
        tsrec.load(tmp_path / "f")


def test_history_of_training_is_kept(tmp_path):
    y = pd.Series(np.sin(np.arange(200.0)), pd.date_range("2024", periods=200, freq="h"))
    forecaster = tsrec.LSSLForecaster(horizon=4, context=16, max_epochs=2, random_state=0).fit(y)
    back = saved_and_loaded(forecaster, tmp_path)
    pd.testing.assert_frame_equal(back.history_, forecaster.history_)
    assert back.share_ == forecaster.share_
    pd.testing.assert_frame_equal(back.transform(), forecaster.transform(), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_of_half_precision_lose_no_digit(dtype, tmp_path):
    forecaster = tsrec.LSSLForecaster(horizon=4, context=16, max_epochs=0, random_state=0).fit(np.arange(99.0))
    forecaster.module_.to(dtype)
    back = saved_and_loaded(forecaster, tmp_path).module_.state_dict()
    for name, weight in forecaster.module_.state_dict().items():
        torch.testing.assert_close(back[name], weight.to(back[name].dtype), rtol=0, atol=0)


def test_metadata_requests_are_kept(tmp_path):
    forecaster = tsrec.SeasonalNaiveForecaster()
    with sklearn.config_context(enable_metadata_routing=True):
        forecaster.set_fit_request(past=True, static="regions").set_predict_request(history=False)
    back = saved_and_loaded(forecaster, tmp_path).get_metadata_routing()
    assert back.fit.requests == {"past": True, "static": "regions"}
    assert back.predict.requests == forecaster.get_metadata_routing().predict.requests
    assert not hasattr(saved_and_loaded(tsrec.SeasonalNaiveForecaster(), tmp_path), "_metadata_request")


@pytest.mark.parametrize("requests", [5, {"dict": [["eval", {"dict": []}]]}, {"dict": [["fit", {"dict": [["x", 1]]}]]}])
def test_requests_that_no_estimator_has_are_refused(requests, tmp_path):
    text = json.dumps({"format": 1, "version": "0", "state": {**NAIVE, "requests": requests}})
    save_file({}, tmp_path / "f", {"tsrec": text})
    with pytest.raises(ValueError, match="cannot be loaded"):
        tsrec.load(tmp_path / "f")


def corrupted(node, draw):
    """The same JSON with one random node replaced, dropped or renamed."""
    odd = draw(st.sampled_from([None, -1, 2.5, "x", [], {}, [1], {"list": []}, {"x": 1}]))
    if not node or not isinstance(node, dict | list) or draw(st.integers(0, 9)) == 0:
        return odd
    key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
    copy = node.copy()
    if isinstance(node, dict) and draw(st.integers(0, 9)) == 0:
        copy[f"{key}x"] = copy.pop(key)
    else:
        copy[key] = corrupted(node[key], draw)
    return copy


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    path = tmp_path_factory.mktemp("parts") / "f"
    ids = pd.MultiIndex.from_product([pd.Index([1, 2], dtype="Int64"), ["a"]])
    tsrec.save(fitted(pd.Index(["a", "b"]), ids, tz="Europe/Berlin"), path)
    with safe_open(path, "numpy") as file:
        return json.loads(file.metadata()["tsrec"]), {name: file.get_tensor(name) for name in file.keys()}, path  # noqa: SIM118


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_corrupted_files_load_or_raise_value_errors_only(parts, data):
    content, arrays, path = parts
    save_file(arrays, path, {"tsrec": json.dumps(corrupted(content, data.draw))})
    with contextlib.suppress(ValueError):
        assert isinstance(tsrec.load(path), tsrec.SeasonalNaiveForecaster)


def _embed(texts):
    return np.zeros((len(texts), 2))


def test_functions_are_refused_with_what_to_do(tmp_path):
    model = tsrec.TEMPOForecaster(horizon=3, text_encoder=_embed)
    with pytest.raises(TypeError, match=r"text_encoder: a function cannot be saved.*set_params\(text_encoder=None\)"):
        tsrec.save(model, tmp_path / "model")
