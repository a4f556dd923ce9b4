"""Fitted networks as ONNX files: onnxruntime answers what the estimators answer."""

import sys
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone

import tsrec
from tests.interop.conftest import FORECASTERS, answers, awake, last_rows, make_panel, near
from tests.interop.test_modules import CAP, WAVES, fit_series, padded, recordings, told
from tsrec.interop import onnx as exported

CLOSE = 1e-4
onnxruntime = pytest.importorskip("onnxruntime")


def write(estimator, path, **options):
    """The file of an estimator, as a session, and its module."""
    module = tsrec.export_onnx(estimator, path, **options)
    session = onnxruntime.InferenceSession(path)
    assert tuple(one.name for one in session.get_inputs()) == module.input_names
    assert tuple(one.name for one in session.get_outputs()) == module.output_names
    return session, module


def ask(session, **given):
    """Answers by name, floats in single precision."""
    single = {name: part if part.dtype == np.int64 else part.astype(np.float32) for name, part in given.items()}
    return dict(zip((one.name for one in session.get_outputs()), session.run(None, single), strict=True))


def check_forecasts(estimator, session, module, frame, series):
    point, quantiles = answers(estimator, history=frame)
    found = ask(session, context=last_rows(frame, module.context), series=np.asarray(series))
    assert near(found["forecast"], point, CLOSE)
    assert near(found["quantiles"], quantiles, CLOSE)


def check_panels(estimator, path):
    """One row, seven, holes, short histories and series that are new."""
    session, module = write(estimator, path)
    check_forecasts(estimator, session, module, make_panel(), [0, 1, 2])
    check_forecasts(estimator, session, module, make_panel(("b",), 80, seed=2), [1])
    seven = make_panel(tuple("abcdefg"), 60, seed=3)
    check_forecasts(estimator, session, module, seven, [0, 1, 2, -1, -1, -1, -1])
    check_forecasts(estimator, session, module, seven.groupby(level=0).head(9), [0, 1, 2, -1, -1, -1, -1])


@pytest.mark.slow
def test_a_file_forecasts_as_its_estimator_does(tmp_path, panel, capfd):
    check_panels(awake(clone(FORECASTERS["ridge"]).fit(panel)), tmp_path / "ridge.onnx")
    assert [one.name for one in tmp_path.iterdir()] == ["ridge.onnx"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["structural", "mamba", "tcnca", "tempo, attention"])
def test_files_of_all_families_forecast(name, tmp_path, panel):
    forecaster = clone(FORECASTERS[name])
    # The mean of several networks too, whose equal weights are written once.
    forecaster.set_params(n_members=2 if name == "structural" else 1)
    check_panels(awake(forecaster.fit(panel)), tmp_path / "one.onnx")


@pytest.mark.slow
def test_files_take_covariates_of_all_kinds(tmp_path, panel):
    X, past, static = told(panel)
    forecaster = clone(FORECASTERS["mlp"]).set_params(features="id", n_members=1)
    forecaster.fit(X.loc[panel.index], panel, past=past, static=static.fillna(0.0))
    session, module = write(awake(forecaster), tmp_path / "one.onnx")
    found = ask(
        session,
        context=last_rows(panel, module.context),
        known=last_rows(X, module.context + 5),
        past=last_rows(past, module.context),
        static=forecaster.static_coding_.encode(static.fillna(0.0)),
        series=np.arange(3),
    )
    point, quantiles = answers(forecaster, X=X.loc[X.index.difference(panel.index)])
    assert near(found["forecast"], point, CLOSE)
    assert near(found["quantiles"], quantiles, CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lssl, trained", "lssl, numbers", "tcnca, both ways"])
def test_files_of_series_answer_as_their_estimators_do(name, tmp_path):
    estimator, X, wanted = fit_series(name)
    session, module = write(estimator, tmp_path / "one.onnx")
    found = ask(session, **padded(X, module.length))[module.output_names[0]]
    assert near(found, wanted, CLOSE)
    alone = ask(session, **padded(X[:1], module.length))[module.output_names[0]]
    assert near(alone, wanted[:1], CLOSE)


@pytest.mark.slow
def test_modules_can_be_exported_by_torch_itself(panel):
    forecaster = clone(FORECASTERS["lssl"]).fit(panel)
    module = tsrec.to_torch(forecaster)
    with warnings.catch_warnings():
        # torch's own parts call each other in ways that it no longer wants.
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(module, (), module.example(), dynamic_shapes=module.dynamic_shapes())
    given = {"context": torch.from_numpy(last_rows(panel, module.context)).float(), "series": torch.arange(3)}
    found, wanted = program.module()(**given), module(**given)
    assert near(found["quantiles"].detach(), wanted["quantiles"].detach(), 1e-6)


@pytest.mark.slow
def test_files_of_encoders_embed_recordings(tmp_path):
    X, _ = recordings()
    encoder = tsrec.LuMambaEncoder(ch_names=CAP, normalisation="running", **WAVES).fit(X)
    session, _ = write(encoder, tmp_path / "one.onnx", length=160)
    assert near(ask(session, values=X.transpose(0, 2, 1))["embedding"], encoder.transform(X), CLOSE)


def test_a_file_that_answers_otherwise_is_refused():
    exported._check_near("forecast", np.array([1.0, 200.01]), torch.tensor([1.0, 200.0]))
    with pytest.raises(RuntimeError, match=r"forecast of onnxruntime is off that of the module by 1 of its size"):
        exported._check_near("forecast", np.array([1.0, 2.0]), torch.tensor([0.0, 2.0]))
    with pytest.raises(RuntimeError, match="is off"):
        exported._check_near("forecast", np.array([np.nan]), torch.tensor([0.0]))


def test_files_are_compared_on_data_with_holes_too(panel):
    given = exported._with_holes(tsrec.to_torch(clone(FORECASTERS["ridge"]).fit(panel)).example(1))
    assert bool(given["context"].isnan().any())
    assert not bool(given["context"].isnan().all())


def test_what_cannot_be_written_is_told_before_the_work(panel, tmp_path):
    module = tsrec.to_torch(clone(FORECASTERS["ridge"]).fit(panel))
    with pytest.raises(ValueError, match="length: found 9, but the module has one"):
        tsrec.export_onnx(module, tmp_path / "never.onnx", length=9)
    with pytest.raises(FileNotFoundError, match=r"path: there is no folder '.*absent'"):
        tsrec.export_onnx(module, tmp_path / "absent" / "never.onnx")


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install 'tsrec\[onnx\]'"):
        tsrec.export_onnx(tsrec.LSSLForecaster(), "never.onnx")
