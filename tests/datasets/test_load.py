import gzip
import inspect
from pathlib import Path

import pandas as pd
import pytest

from tsrec import datasets
from tsrec.datasets import _load

SHIPPED = sorted(name.removeprefix("load_") for name in datasets.__all__ if name.startswith("load_"))


def load(name):
    return getattr(datasets, f"load_{name}")()


def folder(name):
    return Path(str(_load._folder())) / name


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "vehicle_trips"])
def test_shipped_series_have_a_regular_sorted_index(name):
    index = load(name).index
    assert index.freq is not None
    assert index.is_monotonic_increasing
    assert index.is_unique


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_series_have_only_the_documented_gaps(name):
    assert load(name).isna().to_numpy().sum() == (59 if name == "co2" else 0)


def test_the_panel_has_consecutive_days_in_every_series():
    panel = datasets.load_vehicle_trips()
    days = panel.reset_index().groupby("base")["date"]
    assert (days.diff().dropna() == pd.Timedelta(days=1)).all()
    assert (days.size().min(), days.size().max()) == (70, 243)
    assert panel.index.is_monotonic_increasing


@pytest.mark.parametrize("name", SHIPPED)
def test_a_readme_with_source_and_licence_stands_beside_each_file(name):
    text = (folder(name) / "README.md").read_text()
    assert "- Source: " in text
    assert "- Licence: " in text
    assert "- Derived: " in text


@pytest.mark.parametrize("name", SHIPPED)
def test_docstrings_name_the_licence_of_the_readme(name):
    licence = (folder(name) / "README.md").read_text().split("- Licence: ")[1].splitlines()[0]
    word = next(word for word in ("MIT", "CC BY 4.0", "public domain") if word in licence)
    assert word in inspect.getdoc(getattr(datasets, f"load_{name}")).replace("\n", " ")


def test_files_carry_no_compression_time():
    # A byte-for-byte rebuild must not depend on the clock: bytes 4 to 8 of a gzip file are its time.
    for name in SHIPPED:
        assert (folder(name) / f"{name}.csv.gz").read_bytes()[4:8] == bytes(4)


def test_shipped_files_stay_small():
    assert sum(file.stat().st_size for file in Path(str(_load._folder())).rglob("*") if file.is_file()) < 600_000


def test_every_data_folder_has_a_loader():
    assert sorted(entry.name for entry in Path(str(_load._folder())).iterdir() if entry.is_dir()) == SHIPPED


def test_files_inside_the_package_go_before_those_beside_it(tmp_path, monkeypatch):
    (tmp_path / "files" / "nile").mkdir(parents=True)
    (tmp_path / "files" / "nile" / "nile.csv.gz").write_bytes(gzip.compress(b"year,volume\n1871,7\n"))
    monkeypatch.setattr(_load.resources, "files", lambda package: tmp_path)
    assert datasets.load_nile().tolist() == [7]


@pytest.mark.parametrize(
    ("season", "peak", "percent"),
    # CDC: "ILI National Summary Detail" (late October 2009; early February 2003) and MMWR 65(22) (12 March 2016).
    [
        ("2002-10", "2003-02-08", 3.2),
        ("2009-05", "2009-10-24", 7.7),
        ("2015-10", "2016-03-12", 3.6),
    ],
)
def test_illness_peaks_in_the_weeks_that_cdc_reported(season, peak, percent):
    year = datasets.load_illness()["weighted_ili"].loc[season:].iloc[:40]
    assert year.idxmax() == pd.Timestamp(peak)
    assert year.max() == pytest.approx(percent, abs=0.05)


def test_taxi_days_and_weeks_repeat():
    passengers = datasets.load_nyc_taxi()
    assert passengers.autocorr(48) > 0.8
    assert passengers.autocorr(336) > 0.85
