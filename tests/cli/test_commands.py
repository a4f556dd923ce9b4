"""Commands: what they write, draw and say, and which flags they refuse before they read anything."""

import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import tsrec

FAST = ["--model", "seasonal-naive", "--horizon", "6"]


def test_forecast_writes_table_picture_and_model(csv, tmp_path, tsrec_):
    out, plot, model = tmp_path / "new" / "f.csv", tmp_path / "f.png", tmp_path / "m.tsrec"
    flags = ["--time", "date", "--target", "OT", "--horizon", "24", "--out", out, "--plot", plot, "--save", model]
    answer = tsrec_("forecast", csv, *flags)
    assert answer.status == 0, answer.err
    table = pd.read_csv(out, index_col=0, parse_dates=True)
    assert table.columns.tolist() == ["OT", "OT_lower_0.9", "OT_upper_0.9"]
    assert table.index[0] == pd.Timestamp("2024-01-21")
    np.testing.assert_allclose(table["OT"], np.sin(np.arange(24) / 24 * 2 * np.pi), atol=0.05)
    assert plot.read_bytes().startswith(b"\x89PNG")
    np.testing.assert_allclose(tsrec.load(model).predict()["OT"], table["OT"], rtol=1e-4)
    assert "wrote 24 rows" in answer.out
    assert "\nseason 24, sub-daily series: mean of LSSL (context " in answer.err
    assert re.search(r"recurrent branch: (\d+ %|off, it gained too little)", answer.err)


def test_forecast_without_out_prints_all_numeric_columns(csv, tsrec_):
    answer = tsrec_("forecast", csv, *FAST, "--coverage", "0.5", "--coverage", "0.9")
    header = answer.out.splitlines()[0]
    assert header.startswith("date,OT,OT_lower_0.5,OT_upper_0.5,OT_lower_0.9,OT_upper_0.9,load")


def test_panel_by_id(shops, write, tsrec_):
    answer = tsrec_("forecast", write(shops), "--id", "shop", "--time", "day", "--target", "sold", *FAST)
    assert len(answer.out.splitlines()) == 13
    assert tsrec_("forecast", write(shops), "--id", "shop", *FAST).out == answer.out


def test_backtest_prints_errors_beside_the_naive_ones(csv, tmp_path, tsrec_):
    out = tmp_path / "b.csv"
    answer = tsrec_("backtest", csv, "--target", "load", *FAST, "--windows", "3", "--out", out)
    assert "MAE naive" in answer.out
    assert "3 cut-offs, 6 steps apart" in answer.err
    assert pd.read_csv(out).shape[0] == 18


@pytest.mark.parametrize("flags", [[], ["--step", "2"], ["--windows", "2"]])
def test_the_naive_model_is_exactly_as_good_as_the_naive_forecast(flags, shops, write, tsrec_):
    answer = tsrec_("backtest", write(shops), "--id", "shop", "--model", "seasonal-naive", "--horizon", "3", *flags)
    assert answer.status == 0, answer.err
    figures = [float(cell) for cell in answer.out.splitlines()[1].split()[1:]]
    assert figures[0] == figures[2] > 0
    assert figures[-1] == 1


@pytest.mark.filterwarnings("default")
def test_a_series_too_short_is_said_once_and_left_out(shops, write, tsrec_):
    path = write(pd.concat([shops, shops.head(2).assign(shop="corner")]))
    answer = tsrec_("backtest", path, "--id", "shop", "--time", "day", "--target", "sold", *FAST)
    assert answer.status == 0, answer.err
    assert answer.err.count("too short") == 1
    assert "for each of 2 series" in answer.err


def test_of_many_series_the_picture_shows_the_first(shops, write, tsrec_, tmp_path):
    many = pd.concat([shops.head(20).assign(shop=f"s{number:02}") for number in range(14)])
    flags = ["--id", "shop", "--time", "day", "--target", "sold", *FAST]
    answer = tsrec_("forecast", write(many), *flags, "--plot", tmp_path / "p.png")
    assert answer.status == 0, answer.err
    assert "the picture shows the first 12 of 14 series" in answer.err
    assert (tmp_path / "p.png").exists()


def promotions(rows=80, ahead=6):
    """Sales that follow a promotion; the last rows are to be forecast."""
    days = pd.date_range("2024-01-01", periods=rows, freq="D").astype(str)
    promo = (np.arange(rows) * 7919 % 11 < 4).astype(int)
    sales = 10.0 + 5 * promo + np.arange(rows) % 7
    return pd.DataFrame(
        {"day": days, "sales": np.where(np.arange(rows) < rows - ahead, sales, np.nan), "promo": promo}
    ), sales


def test_known_columns_shape_the_forecast(write, tsrec_, tmp_path):
    table, sales = promotions()
    path = write(table, "promo.csv")
    answer = tsrec_("forecast", path, "--known", "promo", "--plot", tmp_path / "p.png", "--out", tmp_path / "f.csv")
    assert answer.status == 0, answer.err
    assert "forecasting sales (all number columns; choose with --target), knowing promo" in answer.err
    made = pd.read_csv(tmp_path / "f.csv")
    assert made["day"].tolist() == table["day"].tolist()[-6:]
    np.testing.assert_allclose(made["sales"], sales[-6:], atol=1.5)
    assert len(tsrec_("forecast", path, "--known", "promo", *FAST[:2], "--horizon", 2).out.splitlines()) == 3
    assert "makes no use of promo" in tsrec_("backtest", path, "--known", "promo", *FAST).err


def test_known_columns_of_several_series(write, tsrec_):
    table, _ = promotions()
    short = table[5:].reset_index(drop=True)
    both = pd.concat([table.assign(shop="a"), short.assign(shop="b")])
    answer = tsrec_("forecast", write(both), "--id", "shop", "--known", "promo", "--model", "seasonal-mean")
    assert answer.status == 0, answer.err
    assert len(answer.out.splitlines()) == 13


def test_known_columns_need_future_rows(write, tsrec_):
    table, _ = promotions()
    flags = ["--known", "promo", *FAST[:2]]
    answer = tsrec_("forecast", write(table[:-6]), *flags)
    assert (
        "no rows follow the last value. Add a row per step to forecast, with 'promo' filled in and 'sales' empty."
        in answer.err
    )
    answer = tsrec_("forecast", write(table), *flags, "--horizon", "9")
    assert "6 rows follow the last value, --horizon 9 needs 9" in answer.err
    table["promo"] = table["promo"].astype(float).where(table.index != 77)
    assert "'promo' is empty at 2024-03-18, a step to forecast" in tsrec_("forecast", write(table), *flags).err


def test_an_empty_end_is_mentioned(write, tsrec_):
    answer = tsrec_("forecast", write(promotions()[0]), "--target", "sales", *FAST)
    assert "note: the last 6 rows hold no value and count as missing" in answer.err


def test_info_without_a_file_lists_versions(tsrec_):
    assert "torch" in tsrec_("info").out


def test_info_describes_files_with_gaps_and_repeats(csv, write, tsrec_):
    shown = tsrec_("info", csv).out
    assert "480 rows, hourly (h), 2024-01-01 to 2024-01-20 23:00" in shown
    assert "torch" not in shown
    assert "missing steps: 0" in shown
    table = pd.read_csv(csv)
    table.loc[3, "OT"] = np.nan
    shown = tsrec_("info", write(pd.concat([table.drop(index=[7, 8]), table[:1]]))).out
    assert "missing steps: 2 (2024-01-01 07:00, 2024-01-01 08:00)" in shown
    assert "repeated time stamps: 1, the first 2024-01-01" in shown
    assert re.search(r"OT +1 ", shown)
    assert "not numbers: site (text)" in shown


def test_info_describes_panels(shops, write, tsrec_):
    shown = tsrec_("info", write(shops.drop(index=5)), "--id", "shop", "--freq", "D").out
    assert "2 series (shop), 50 to 59 rows long" in shown
    assert "missing steps: 1 (2024-01-06)" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forecast", "{folder}/dta.csv"], "there is no file .*Did you mean .*data.csv"),
        (["forecast", "{folder}/else.txt"], r"there is no file '[^']*else.txt'\.$"),
        (["forecast", "{csv}", "--target", "OTT"], "no column 'OTT'. Did you mean 'OT'"),
        (["forecast", "{csv}", "--target", "qqq"], "no column 'qqq'. Its columns: date, OT, load, site"),
        (["forecast", "{csv}", "--time", "dates"], "no column 'dates'. Did you mean 'date'"),
        (["forecast", "{csv}", "--time", "site"], "line 2: 'north' in column 'site' is no date"),
        (["forecast", "{csv}", "--target", "site"], "'site' holds text such as 'north', no numbers"),
        (["forecast", "{csv}", "--target", "date"], "--target: 'date' is the time column already"),
        (["forecast", "{csv}", "--id", "site", "--target", "site"], "--target: 'site' is the column of --id already"),
        (["forecast", "{csv}", "--target", "OT", "--known", "OT"], "--known: 'OT' is a target already"),
        (["forecast", "{csv}", "--id", "date", "--time", "date"], "--id: 'date' is the time column already"),
        (["backtest", "{csv}", "--target", "OT", "--windows", "900", *FAST], "data.csv has 480 rows, but 900 cut-offs"),
        (["forecast", "{csv}", "--horizon", "0"], r"--horizon: found 0\. Give a whole number of at least 1"),
        (["forecast", "{csv}", "--horizon", "x"], "invalid int value"),
        (["backtest", "{csv}", "--windows", "0"], "--windows: found 0"),
        (["backtest", "{csv}", "--step", "-1"], "--step: found -1"),
        (["forecast", "{csv}", "--seed", "-1"], "--seed: found -1"),
        (["forecast", "{csv}", "--coverage", "90"], "--coverage: found 90. Give a share between 0 and 1"),
        (["forecast", "{csv}", "--out", "{folder}"], "--out: .* is a folder"),
        (["forecast", "{csv}", "--out", "{csv}"], "--out: .* is the file that is read"),
        (["forecast", "{csv}", "--save", "{csv}/m.tsrec"], "--save: .* is a file, not a folder"),
        (["forecast", "{csv}", "--plot", "{folder}/p.doc"], r"--plot: .* ends in '\.doc', but .*\.png"),
        (["forecast", "{csv}", "--plot", "{folder}/p"], "--plot: .* ends in 'nothing'"),
        (["forecast", "{csv}", "--tz", "Europe/Berln"], "no time zone 'Europe/Berln'. Did you mean 'Europe/Berlin'"),
        (["forecast", "{csv}", "--encoding", "utf-99"], "--encoding: 'utf-99' is unknown"),
        (["forecast", "{csv}", "--sep", "ab"], "--sep: found 'ab'"),
        (["forecast", "{csv}", "--dayfirst", "--date-format", "%d"], "--dayfirst, --date-format: found both"),
        (
            ["forecast", "{csv}", "--date-format", "%d/%m/%Y"],
            "line 2: '2024-01-01 00:00:00' in column 'date' is no date",
        ),
        (["forecast", "{csv}", "--model", "oracle"], "invalid choice: 'oracle'"),
        (["guess", "{csv}"], "invalid choice: 'guess'"),
    ],
)
def test_errors_say_how_to_go_on(csv, arguments, message, tsrec_):
    answer = tsrec_(*[a.format(csv=csv, folder=csv.parent) for a in arguments])
    assert answer.status == 2
    assert re.search(message, answer.err), answer.err


def test_flags_are_checked_before_the_file_is_read(tsrec_):
    assert "--coverage" in tsrec_("forecast", "nowhere.csv", "--coverage", "2").err


def test_help_is_shown(tsrec_):
    answer = tsrec_("forecast", "--help")
    assert answer.status == 0
    assert "'%m/%d/%Y %H:%M'" in answer.out


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_leaves_is_no_error(csv):
    call = [sys.executable, "-c", "import sys, tsrec.cli; sys.exit(tsrec.cli.main())"]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            [*call, "forecast", str(csv), *FAST], stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 1


def test_no_model_is_imported_before_the_file_was_checked(csv):
    script = (
        "import sys, tsrec.cli\n"
        f"assert tsrec.cli.main(['forecast', {str(csv)!r}, '--target', 'OTT']) == 2\n"
        "assert not {'torch', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stderr=subprocess.DEVNULL)
