"""Time columns: one reading for the whole column, or a question."""

import numpy as np
import pandas as pd
import pytest


def table_of(stamps):
    return pd.DataFrame({"date": stamps, "sales": np.arange(len(stamps)) % 7 + 0.5})


def forecast_times(answer):
    assert answer.status == 0, answer.err
    return [line.split(",")[0] for line in answer.out.splitlines()[1:]]


MONTHS = pd.date_range("2023-01-01", periods=24, freq="MS")
DAYS = pd.date_range("2023-03-01", periods=40, freq="D")
HOURS = pd.date_range("2023-03-01", periods=100, freq="h")


@pytest.mark.parametrize(
    ("stamps", "form", "following"),
    [
        (MONTHS[:12], "%d.%m.%Y", "2024-01-01"),
        (MONTHS, "%d/%m/%Y", "2025-01-01"),
        (MONTHS, "%m/%d/%Y", "2025-01-01"),
        (MONTHS, "%d-%m-%y", "2025-01-01"),
        (MONTHS, "%Y-%m", "2025-01-01"),
        (MONTHS, "%Y%m", "2025-01-01"),
        (MONTHS, "%m/%Y", "2025-01-01"),
        (MONTHS, "%b %Y", "2025-01-01"),
        (DAYS, "%d/%m/%Y", "2023-04-10"),
        (DAYS, "%m/%d/%Y", "2023-04-10"),
        (DAYS, "%Y%m%d", "2023-04-10"),
        (DAYS, "%Y/%m/%d", "2023-04-10"),
        (DAYS, "%d %B %Y", "2023-04-10"),
        (HOURS, "%d.%m.%Y %H:%M", "2023-03-05 04:00:00"),
        (HOURS, "%d/%m/%Y %H:%M:%S", "2023-03-05 04:00:00"),
        (HOURS, "%m/%d/%Y %I:%M %p", "2023-03-05 04:00:00"),
        (HOURS, "%Y-%m-%dT%H:%M:%SZ", "2023-03-05 04:00:00+00:00"),
    ],
)
def test_each_form_of_date_is_read_as_it_is_meant(stamps, form, following, write, forecast):
    assert forecast_times(forecast(write(table_of(stamps.strftime(form)))))[0] == following


def test_two_regular_readings_are_a_question_that_flags_answer(write, forecast):
    path = write(table_of(MONTHS[:12].strftime("%d/%m/%Y")), "uk12.csv")
    answer = forecast(path)
    assert answer.status == 2
    assert (
        "uk12.csv: '01/02/2023' in 'date' can be 1 February or 2 January. "
        "Say which with --dayfirst or --date-format '%m/%d/%Y'." in answer.err
    )
    assert forecast_times(forecast(path, "--dayfirst"))[0] == "2024-01-01"
    assert forecast_times(forecast(path, "--date-format", "%m/%d/%Y"))[0] == "2023-01-13"
    assert forecast_times(forecast(path, "--date-format", "%d/%m/%Y"))[0] == "2024-01-01"


def test_two_irregular_readings_are_a_question_too(write, forecast):
    answer = forecast(write(table_of(["01/02/2023", "02/02/2023", "04/05/2023", "04/06/2023"])))
    assert "Say which with --dayfirst" in answer.err


def test_a_date_that_does_not_fit_the_others_is_named_with_its_line(write, forecast):
    days = [*DAYS.strftime("%d.%m.%Y")[:5], "31.02.2023", *DAYS.strftime("%d.%m.%Y")[6:]]
    assert "line 7: '31.02.2023' in column 'date' is no date like '01.03.2023'" in forecast(write(table_of(days))).err
    isos = [*DAYS.strftime("%Y-%m-%d")[:5], "soon", *DAYS.strftime("%Y-%m-%d")[6:]]
    assert "line 7: 'soon' in column 'date' is no date like '2023-03-01'" in forecast(write(table_of(isos))).err


def test_years_and_whole_numbers_stay_numbers(write, forecast):
    assert forecast_times(forecast(write(table_of(range(1990, 2020)))))[0] == "2020"
    assert forecast_times(forecast(write(table_of(np.arange(30.0)))))[0] == "30"


def test_fractions_are_no_times(write, forecast):
    answer = forecast(write(table_of(np.arange(30) / 2)))
    assert "line 3: 0.5 in 'date' is no date and no whole number" in answer.err


def test_an_empty_time_is_named(write, forecast):
    assert "line 4: 'date' is empty" in forecast(write(["date,sales", "2023-01-01,1", "2023-01-02,2", ",3"])).err


def test_changing_offsets_become_utc_with_a_note_or_a_zone(write, forecast):
    hours = pd.date_range("2022-03-26", periods=72, freq="h", tz="Europe/Berlin")
    path = write(table_of([stamp.isoformat() for stamp in hours]))
    answer = forecast(path)
    assert forecast_times(answer)[0] == "2022-03-28 23:00:00+00:00"
    assert "note: the offsets in 'date' change; the times are kept in UTC" in answer.err
    answer = forecast(path, "--tz", "Europe/Berlin")
    assert forecast_times(answer)[0] == "2022-03-29 01:00:00+02:00"
    assert "note" not in answer.err


@pytest.mark.parametrize("spellings", [("Z", "+00:00", "+00"), ("+01:00", "+0100", "+01")])
def test_one_offset_in_several_spellings_does_not_change(write, forecast, spellings):
    answer = forecast(write(table_of([f"{hour}{spellings[k % 3]}" for k, hour in enumerate(HOURS.astype(str))])))
    assert forecast_times(answer)[0] == f"2023-03-05 04:00:00{spellings[1][:3]}:00"
    assert "note: the offsets" not in answer.err


def test_offsets_of_hours_alone_may_change(write, forecast):
    hours = pd.date_range("2022-03-26", periods=72, freq="h", tz="Europe/Berlin")
    answer = forecast(write(table_of([str(stamp)[:-3] for stamp in hours])))
    assert forecast_times(answer)[0] == "2022-03-28 23:00:00+00:00"
    assert "note: the offsets in 'date' change" in answer.err


def test_days_of_a_zone_written_with_offsets_need_the_zone(write, forecast):
    days = pd.date_range("2022-03-20", periods=30, freq="D", tz="Europe/Berlin")
    path = write(table_of([stamp.isoformat() for stamp in days]))
    assert "need --tz" in forecast(path).err
    assert forecast_times(forecast(path, "--tz", "Europe/Berlin"))[0] == "2022-04-19 00:00:00+02:00"


def test_times_with_and_without_offset_do_not_mix(write, forecast):
    answer = forecast(write(table_of(["2022-01-01 00:00", "2022-01-01 01:00+01:00", "2022-01-01 02:00+01:00"])))
    assert "only some of the times" in answer.err


def test_a_zone_makes_sense_of_the_hours_of_a_local_clock(write, forecast):
    hours = pd.date_range("2022-10-29", periods=72, freq="h", tz="Europe/Berlin").tz_localize(None)
    path = write(table_of(hours.astype(str)))
    assert "2022-10-30 02:00 occurs 2 times" in forecast(path).err
    assert "--tz Europe/Berlin" in forecast(path).err
    assert forecast_times(forecast(path, "--tz", "Europe/Berlin"))[0] == "2022-10-31 23:00:00+01:00"
    once = write(table_of(pd.date_range("2022-10-29", periods=72, freq="h").astype(str)))
    assert "'date' is no local time of Europe/Berlin" in forecast(once, "--tz", "Europe/Berlin").err


def test_local_hours_of_several_series_newest_first(write, forecast):
    hours = pd.date_range("2022-10-29", periods=72, freq="h", tz="Europe/Berlin").tz_localize(None).astype(str)
    one = table_of(hours)
    both = pd.concat([one.assign(site="a"), one.assign(site="b")[::-1]])
    answer = forecast(write(both), "--id", "site", "--tz", "Europe/Berlin")
    assert "read 144 rows of 2 series (site), hourly (h)" in answer.err
    assert answer.status == 0


def test_rows_out_of_order_are_sorted(write, forecast):
    table = table_of(DAYS.astype(str))
    straight = forecast(write(table)).out
    assert forecast(write(table.sample(frac=1, random_state=0))).out == straight


def test_day_first_dates_of_several_series(write, forecast):
    one = table_of(MONTHS.strftime("%d/%m/%Y"))
    both = pd.concat([one.assign(site="a"), one.assign(site="b")])
    answer = forecast(write(both), "--id", "site")
    assert "monthly (MS), 2023-01-01 to 2024-12-01" in answer.err
    assert "'date' is read day first" in answer.err
