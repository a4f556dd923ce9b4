"""The command line: files written, pictures drawn, and errors that say how to go on."""

import numpy as np
import pandas as pd
import pytest

import tsrec
from tsrec.cli import main

FAST = ["--model", "seasonal-naive", "--horizon", "6"]


@pytest.fixture
def csv(tmp_path):
    index = pd.date_range("2024-01-01", periods=24 * 20, freq="h", name="date")
    hours = np.arange(len(index))
    table = pd.DataFrame({"OT": np.sin(hours / 24 * 2 * np.pi), "load": hours % 24, "site": "north"}, index=index)
    path = tmp_path / "data.csv"
    table.to_csv(path)
    return path


def test_forecast_writes_table_picture_and_model(csv, tmp_path, capsys):
    out, plot, model = tmp_path / "f.csv", tmp_path / "f.png", tmp_path / "m.tsrec"
    status = main(
        [
            "forecast",
            str(csv),
            "--time",
            "date",
            "--target",
            "OT",
            "--horizon",
            "24",
            "--out",
            str(out),
            "--plot",
            str(plot),
            "--save",
            str(model),
        ]
    )
    assert status == 0
    table = pd.read_csv(out, index_col=0, parse_dates=True)
    assert table.columns.tolist() == ["OT", "OT_lower_0.9", "OT_upper_0.9"]
    assert table.index[0] == pd.Timestamp("2024-01-21")
    np.testing.assert_allclose(table["OT"], np.sin(np.arange(24) / 24 * 2 * np.pi), atol=0.05)
    assert plot.read_bytes().startswith(b"\x89PNG")
    np.testing.assert_allclose(tsrec.load(model).predict()["OT"], table["OT"], rtol=1e-4)
    assert "wrote 24 rows" in capsys.readouterr().out


def test_forecast_without_out_prints_all_numeric_columns(csv, capsys):
    assert main(["forecast", str(csv), *FAST]) == 0
    header = capsys.readouterr().out.splitlines()[0]
    assert header.startswith("date,OT,OT_lower_0.9,OT_upper_0.9,load")


def test_backtest_prints_errors_beside_the_naive_ones(csv, tmp_path, capsys):
    out = tmp_path / "b.csv"
    assert main(["backtest", str(csv), "--target", "load", *FAST, "--windows", "3", "--out", str(out)]) == 0
    assert "MAE naive" in capsys.readouterr().out
    assert pd.read_csv(out).shape[0] == 18


def test_panel_by_id(tmp_path, capsys):
    days = pd.date_range("2024-01-01", periods=30, freq="D").astype(str)
    table = pd.DataFrame({"shop": ["a"] * 30 + ["b"] * 30, "day": [*days, *days], "sold": range(60)})
    path = tmp_path / "shops.csv"
    table.to_csv(path, index=False)
    assert main(["forecast", str(path), "--id", "shop", "--time", "day", "--target", "sold", *FAST]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 13


def test_parquet_is_read(csv, tmp_path, capsys):
    path = tmp_path / "data.parquet"
    pd.read_csv(csv, parse_dates=["date"]).to_parquet(path, index=False)
    assert main(["forecast", str(path), "--time", "date", "--target", "OT", *FAST]) == 0


def test_info_lists_versions_and_columns(csv, capsys):
    assert main(["info", str(csv)]) == 0
    shown = capsys.readouterr().out
    assert "torch" in shown
    assert "480 rows of frequency h" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forecast", "{folder}/dta.csv"], "there is no file .*Did you mean .*data.csv"),
        (["forecast", "{csv}", "--target", "OTT"], "no column 'OTT'. Did you mean 'OT'"),
        (["forecast", "{csv}", "--time", "dates"], "no column 'dates'. Did you mean 'date'"),
        (["forecast", "{csv}", "--time", "site"], "line 2: 'north' in column 'site' is no date"),
        (["forecast", "{csv}", "--target", "site"], "column 'site' holds str, not numbers"),
        (["backtest", "{csv}", "--target", "OT", "--windows", "900", *FAST], "has 480 rows, but 900 cut-offs"),
        (["forecast", "{csv}", "--horizon", "0"], "horizon: found 0"),
    ],
)
def test_errors_say_how_to_go_on(csv, arguments, message, capsys):
    status = main([a.format(csv=csv, folder=csv.parent) for a in arguments])
    assert status == 2
    shown = capsys.readouterr().err
    assert __import__("re").search(message, shown), shown


def test_gaps_and_empty_files_are_explained(csv, tmp_path, capsys):
    table = pd.read_csv(csv)
    table.drop(index=[7, 8]).to_csv(tmp_path / "gap.csv", index=False)
    assert main(["forecast", str(tmp_path / "gap.csv"), "--target", "OT", *FAST]) == 2
    assert "2 missing timestamps, the first after 2024-01-01 06:00:00" in capsys.readouterr().err
    (tmp_path / "empty.csv").write_text("")
    assert main(["forecast", str(tmp_path / "empty.csv"), *FAST]) == 2
    assert "could not be read as CSV" in capsys.readouterr().err
    table.head(1).to_csv(tmp_path / "one.csv", index=False)
    assert main(["forecast", str(tmp_path / "one.csv"), "--target", "OT", *FAST]) == 2
    assert "single time stamp has no frequency" in capsys.readouterr().err
