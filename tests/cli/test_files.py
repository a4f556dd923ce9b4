"""Files: separators, decimal signs, encodings, parquet, cells that are no numbers, rows that repeat or are missing."""

import numpy as np
import pandas as pd
import pytest

DAYS = pd.date_range("2023-01-01", periods=50, freq="D")


@pytest.fixture
def daily():
    values = np.arange(50) % 7
    return pd.DataFrame({"date": DAYS.astype(str), "sales": values + 0.25, "temp": values * 1.5, "weather": "fine"})


@pytest.mark.parametrize(
    "options", [{"sep": ";"}, {"sep": "\t"}, {"sep": "|"}, {"sep": ";", "decimal": ","}, {"decimal": ","}]
)
def test_separator_and_decimal_sign_are_found(options, daily, write, forecast):
    assert forecast(write(daily, **options)).out == forecast(write(daily)).out


def test_flags_override_what_is_found(daily, write, forecast):
    path = write(daily, sep=";", decimal=",", encoding="cp1252")
    answer = forecast(path, "--sep", ";", "--decimal", ",", "--encoding", "cp1252")
    assert answer.status == 0
    assert "has no column" not in answer.err
    assert forecast(path, "--sep", "tab").status == 2


def test_other_encodings(daily, write, forecast):
    daily["weather"] = "schön"
    for encoding, said in (("latin-1", True), ("utf-8-sig", False), ("utf-16", False)):
        answer = forecast(write(daily, encoding=encoding))
        assert answer.status == 0
        assert answer.out.startswith("date,sales,")
        assert ("is not UTF-8; read as latin-1" in answer.err) == said
    assert "could not be read as utf-8." in forecast(write(daily, encoding="latin-1"), "--encoding", "utf-8").err


def test_blank_lines_and_row_numbers_are_no_rows(daily, write, forecast, tmp_path):
    expected = forecast(write(daily)).out
    lines = (tmp_path / "data.csv").read_text().splitlines()
    assert forecast(write(["", *lines[:9], "", *lines[9:], "", ""])).out == expected
    daily.to_csv(tmp_path / "numbered.csv")
    assert forecast(tmp_path / "numbered.csv").out == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([""], "could not be read as CSV: it is empty"),
        (["date,sales"], "has a header, but no rows"),
        (["a,b", "1,2", "1,2,3"], "line 3 has 3 cells, the header 2"),
        (["a,b", "1,2,3", "1,2,3"], "more cells than its header"),
        (["a\0b,c"], "it is no text"),
        (["sales", "1", "2"], "has one column only, 'sales'. Give the separator with --sep"),
        (
            ["date,place", "2023-01-01,north", "2023-01-02,north"],
            r"no column of numbers beside 'date' \(place is text\)",
        ),
    ],
)
def test_what_is_no_table_is_refused(content, message, write, forecast):
    answer = forecast(write(content))
    assert __import__("re").search(message, answer.err), answer.err


def test_spreadsheets_and_folders_are_refused(forecast, tmp_path):
    (tmp_path / "book.xlsx").write_bytes(b"PK")
    assert "Save the sheet as CSV" in forecast(tmp_path / "book.xlsx").err
    (tmp_path / "some.csv").write_text("a")
    assert "is a folder. Name a file in it, for example" in forecast(tmp_path).err


def test_parquet_uses_its_index_of_times(daily, write, forecast, tmp_path):
    expected = forecast(write(daily)).out
    path = tmp_path / "data.parquet"
    stamped = daily.assign(date=DAYS).drop(columns="weather")
    stamped.to_parquet(path, index=False)
    assert forecast(path).out == expected
    stamped.set_index("date").to_parquet(path)
    assert forecast(path).out == expected
    stamped.set_index("date").rename_axis(None).to_parquet(path)
    assert forecast(path).out == expected.replace("date", "time", 1)


def test_parquet_uses_its_levels_of_series_and_times(shops, write, forecast, tmp_path):
    expected = forecast(write(shops), "--id", "shop").out
    shops.assign(day=pd.to_datetime(shops["day"])).set_index(["shop", "day"]).to_parquet(tmp_path / "shops.parquet")
    assert forecast(tmp_path / "shops.parquet").out == expected


def test_parquet_that_cannot_be_read(forecast, tmp_path, monkeypatch):
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    assert "could not be read as parquet" in forecast(tmp_path / "bad.parquet").err

    def refuse(*_, **__):
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", refuse)
    assert "needs pyarrow. Install it: pip install pyarrow" in forecast(tmp_path / "bad.parquet").err


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("n.a. yet", "line 46: 'n.a. yet' in 'sales' is no number; leave it empty for missing."),
        ("1'234", "line 46: \"1'234\" in 'sales' is no number; write numbers without thousands separators."),
        ("1,234", "line 46: '1,234' in 'sales' can be 1.234 or 1234."),
        ("3,75", "line 46: '3,75' in 'sales' is no number; pass --decimal ,"),
        ("inf", "line 46: 'sales' is infinite"),
    ],
)
def test_a_cell_that_is_no_number_is_named(cell, message, daily, write, forecast):
    daily["sales"] = daily["sales"].astype(object)
    daily.loc[44, "sales"] = cell
    assert message in forecast(write(daily)).err
    assert message in forecast(write(daily), "--target", "sales").err


def test_what_was_understood_is_said(daily, write, forecast, shops):
    answer = forecast(write(daily))
    assert answer.err == (
        "read 50 rows, daily (D), 2023-01-01 to 2023-02-19; forecasting sales, temp (all number columns; choose with "
        "--target); skipped weather (text)\n"
    )
    assert forecast(write(daily), "--target", "temp").err.endswith("; forecasting temp\n")
    answer = forecast(write(shops), "--id", "shop")
    assert answer.err.startswith("read 110 rows of 2 series (shop), daily (D), 2024-01-01 to 2024-02-29;")


def test_ids_keep_their_leading_zeros(shops, write, forecast):
    shops["shop"] = shops["shop"].map({"a": "007", "b": "010"})
    assert "\n007,2024-03-01," in forecast(write(shops), "--id", "shop").out
    shops["shop"] = shops["shop"].map({"007": "10", "010": "9"})
    assert forecast(write(shops), "--id", "shop").out.splitlines()[1].startswith("9,")


def test_repeats_point_at_the_column_of_series(shops, write, forecast):
    path = write(shops[["day", "sold", "shop"]], "shops.csv")
    answer = forecast(path)
    assert (
        "shops.csv: 2024-01-01 occurs 2 times. If the file holds several series, name their column: --id shop."
        in answer.err
    )
    shops["shop"] = shops["shop"].map({"a": 1, "b": 2})
    assert "1 occurs 60 times. If the times are in 'day', pass --time day --id shop." in forecast(write(shops)).err
    shops["shop"] = shops["shop"].map({1: "a", 2: "b"})
    assert "The dates may be in 'day': --time day." in forecast(write(shops)).err
    again = pd.concat([shops, shops[:1]])
    answer = forecast(write(again, "again.csv"), "--id", "shop")
    assert "again.csv, shop 'a': 2024-01-01 occurs 2 times. Keep one row per series and time stamp." in answer.err
    assert "Keep one row per time stamp." in forecast(write(again[again["shop"] == "a"].drop(columns="shop"))).err


def test_gaps_are_named_and_filled_when_asked(daily, write, forecast):
    path = write(daily.drop(index=20), "daily_gap.csv")
    message = "2023-01-21 is missing (1 of 50 steps). Add the row, or pass --fill-gaps to treat it as unknown.\n"
    assert forecast(path).err.endswith(f"daily_gap.csv: {message}")
    answer = forecast(path, "--fill-gaps")
    assert "1 missing row filled in as unknown" in answer.err
    empty = daily.copy()
    empty.loc[20, ["sales", "temp"]] = np.nan
    assert answer.out == forecast(write(empty)).out
    many = write(daily.drop(index=[20, 22]))
    assert "2023-01-21 and 1 more are missing (2 of 50 steps). Add the rows" in forecast(many).err


def test_gaps_are_filled_within_each_series(shops, write, forecast):
    answer = forecast(write(shops.drop(index=[5, 70])), "--id", "shop")
    assert "shop 'a': 2024-01-06 and 1 more are missing (2 of 110 steps)" in answer.err
    shops["sold"] = shops["sold"].where(~shops.index.isin([5, 70]))
    expected = forecast(write(shops), "--id", "shop").out
    assert forecast(write(shops.drop(index=[5, 70])), "--id", "shop", "--fill-gaps").out == expected


def test_uneven_rows_and_wrong_frequencies(daily, write, forecast):
    daily.loc[20, "date"] = "2023-01-21 07:30"
    assert "2023-01-21 07:30 does not follow 2023-01-20 at the distance of the other rows" in forecast(write(daily)).err
    path = write(daily.drop(index=20))
    assert "--freq: 'MS' is no" not in forecast(path, "--freq", "MS").err
    assert "Pass another --freq" in forecast(path, "--freq", "MS").err
    assert "have no row. Pass the frequency of the file with --freq" in forecast(path, "--freq", "s").err
    assert "--freq: 'dayly' is no frequency" in forecast(path, "--freq", "dayly").err
    assert "does not fit" in forecast(path, "--freq", "W-MON").err
    assert "single time stamp has no frequency. Pass --freq" in forecast(write(daily[:1])).err


def test_empty_columns_and_series_are_named(daily, shops, write, forecast):
    daily["sales"] = np.nan
    assert "'sales' holds no number at all" in forecast(write(daily), "--target", "sales").err
    assert "sales (empty)" in forecast(write(daily)).err
    shops.loc[shops["shop"] == "b", "sold"] = np.nan
    assert "shop 'b' has no number in sold" in forecast(write(shops), "--id", "shop").err


def test_a_column_all_written_with_thousands_separators(daily, write, forecast):
    daily["sales"] = "1,234.5"
    assert "line 2: '1,234.5' in 'sales' is no number; write numbers without thousands" in forecast(write(daily)).err


def test_dots_beside_decimal_commas_are_not_read_as_decimals(daily, tmp_path, forecast):
    rows = [f"{day.date()};{1 + i // 30}.{i % 30:03d};0,{i % 10}" for i, day in enumerate(daily_index(60))]
    path = tmp_path / "eu.csv"
    path.write_text("date;sales;temp\n" + "\n".join(rows) + "\n")
    assert "line 2: '1.000' in 'sales' is no number; write numbers without thousands separators." in forecast(path).err


def daily_index(n):
    return pd.date_range("2024-01-01", periods=n, freq="D")
