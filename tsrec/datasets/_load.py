"""The series that ship with the package, each read from its folder into a frame with an index and a frequency."""

import gzip
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import pandas as pd


def _folder() -> Traversable:
    """Folder of the data files: inside the package when installed from a wheel, beside it in a source checkout."""
    packaged = resources.files("tsrec.datasets").joinpath("files")
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "datasets"


def _read(name: str) -> pd.DataFrame:
    """Columns of a shipped file as they are stored; the time stays text."""
    with _folder().joinpath(name, f"{name}.csv.gz").open("rb") as packed, gzip.open(packed) as text:
        return pd.read_csv(text)


def _dated(frame: pd.DataFrame, time: str, freq: str) -> pd.DataFrame:
    """Frame indexed by the stamps of its column `time`; a stamp off the grid of `freq` raises."""
    frame = frame.set_index(pd.DatetimeIndex(pd.to_datetime(frame[time]), name=time)).drop(columns=time)
    frame.index.freq = freq
    return frame


def load_nyc_taxi() -> pd.Series:
    """Taxi passengers in New York City, every half hour from July 2014 to January 2015.

    A day of 48 steps and a week of 336 steps stand out clearly. Five events break the pattern: the marathon
    (2014-11-02), Thanksgiving, Christmas, New Year and the snow storm of 2015-01-27.

    Returns
    -------
    passengers : Series of length 10,320, int64
        Passengers per half hour; DatetimeIndex in local wall clock time, frequency 30min, nothing missing.

    Notes
    -----
    Source: New York City Taxi and Limousine Commission, aggregated in the Numenta Anomaly Benchmark
    (``realKnownCause/nyc_taxi.csv``; Ahmad, Lavin, Purdy, Agha, Neurocomputing 262, 2017). Licence: MIT.

    Examples
    --------
    >>> from tsrec.datasets import load_nyc_taxi
    >>> passengers = load_nyc_taxi()
    >>> passengers.head(2)
    time
    2014-07-01 00:00:00    10844
    2014-07-01 00:30:00     8127
    Freq: 30min, Name: passengers, dtype: int64
    """
    return _dated(_read("nyc_taxi"), "time", "30min")["passengers"]


def load_machine_temperature() -> pd.DataFrame:
    """Temperature inside a large industrial machine, every five minutes for eleven weeks, with labelled anomalies.

    Returns
    -------
    frame : DataFrame of shape (22683, 2)
        ``temperature`` (unit not stated by the source) and ``in_anomaly`` (bool, inside one of four labelled windows).
        DatetimeIndex in local wall clock time, frequency 5min, nothing missing.

    Notes
    -----
    Source: Numenta Anomaly Benchmark (``realKnownCause/machine_temperature_system_failure.csv``; Ahmad, Lavin, Purdy,
    Agha, Neurocomputing 262, 2017). Twelve repeated stamps were dropped, temperatures rounded to 0.01. Licence: MIT.

    Examples
    --------
    >>> from tsrec.datasets import load_machine_temperature
    >>> load_machine_temperature()["in_anomaly"].mean().round(3)
    np.float64(0.1)
    """
    frame = _dated(_read("machine_temperature"), "time", "5min")
    return frame.astype({"in_anomaly": bool})


def load_us_births() -> pd.Series:
    """Births in the United States, daily from 1969 to 1988.

    Fewer births at weekends, more in late summer, and a slow change over the years.

    Returns
    -------
    births : Series of length 7,305, int64
        Births per day; DatetimeIndex, frequency D, nothing missing.

    Notes
    -----
    Source: R package mosaicData (Pruim, Kaplan, Horton, 2020), through the Monash Time Series Forecasting Archive
    (Godahewa et al., 2021, arXiv 2105.06643; Zenodo record 4656049). Licence: CC BY 4.0.

    Examples
    --------
    >>> from tsrec.datasets import load_us_births
    >>> load_us_births().groupby(lambda day: day.day_name()).mean().idxmin()
    'Sunday'
    """
    return _dated(_read("us_births"), "date", "D")["births"]


def load_vehicle_trips() -> pd.DataFrame:
    """Daily trips of 166 for-hire vehicle companies in New York City, 2015: a panel whose series differ in length.

    Returns
    -------
    panel : DataFrame of shape (21403, 1)
        Column ``trips`` (trips per day, int64). MultiIndex (base, date): the company's licence number and the day;
        each series has 70 to 243 consecutive days.

    Notes
    -----
    Source: FiveThirtyEight's data on for-hire vehicles, through the Monash Time Series Forecasting Archive (Godahewa et
    al., 2021, arXiv 2105.06643), where missing days repeat the day before. Only the series of type "trips" are kept.
    Licence: CC BY 4.0.

    Examples
    --------
    >>> from tsrec.datasets import load_vehicle_trips
    >>> load_vehicle_trips().index.get_level_values("base").nunique()
    166
    """
    frame = _read("vehicle_trips")
    index = pd.MultiIndex.from_arrays([frame["base"], pd.to_datetime(frame["date"])], names=["base", "date"])
    return frame[["trips"]].set_index(index)


def load_illness() -> pd.DataFrame:
    """Visits for influenza-like illness (ILI) in the United States, weekly from October 2002 to April 2021.

    Returns
    -------
    frame : DataFrame of shape (966, 7)
        ``weighted_ili`` and ``unweighted_ili`` (percent of visits), ``ili_age_0_4``, ``ili_age_5_24`` and ``ili_total``
        (visits for ILI), ``providers`` (reporting), ``patients`` (visits for any reason). DatetimeIndex of the
        Saturdays that end the weeks, frequency W-SAT, nothing missing.

    Notes
    -----
    Source: U.S. Centers for Disease Control and Prevention, FluView (ILINet); a work of the U.S. government, in the
    public domain. The rows and columns are those of the benchmark known as "ILI" or "national illness", whose own dates
    (2002-01-01 to 2020-06-30) are wrong: with them the pandemic wave of October 2009 peaks in January. The dates here
    begin with the reporting season, on 2002-10-05, and put the peaks where CDC reported them.

    Examples
    --------
    >>> from tsrec.datasets import load_illness
    >>> load_illness()["weighted_ili"].idxmax()
    Timestamp('2009-10-24 00:00:00')
    """
    return _dated(_read("illness"), "date", "W-SAT")


def load_sunspots() -> pd.Series:
    """Mean number of sunspots, yearly from 1700 to 2008, with a cycle of about eleven years.

    Returns
    -------
    sunspots : Series of length 309, float64
        DatetimeIndex, frequency YS, nothing missing.

    Notes
    -----
    Source: NOAA National Geophysical Data Center, through statsmodels. Licence: public domain.

    Examples
    --------
    >>> from tsrec.datasets import load_sunspots
    >>> load_sunspots().index[-1].year
    2008
    """
    return _dated(_read("sunspots").astype({"year": str}), "year", "YS")["sunspots"]


def load_nile() -> pd.Series:
    """Yearly flow of the Nile at Aswan from 1871 to 1970, with a drop around 1898.

    Returns
    -------
    volume : Series of length 100, int64
        Flow in 1e8 cubic metres per year; DatetimeIndex, frequency YS, nothing missing.

    Notes
    -----
    Source: Cobb, Biometrika 65 (1978), through statsmodels. Licence: public domain.

    Examples
    --------
    >>> from tsrec.datasets import load_nile
    >>> int(load_nile().max())
    1370
    """
    return _dated(_read("nile").astype({"year": str}), "year", "YS")["volume"]


def load_co2() -> pd.Series:
    """Carbon dioxide in the air of Mauna Loa, weekly from March 1958 to December 2001, with gaps.

    Returns
    -------
    co2 : Series of length 2,284, float64
        Parts per million by volume; DatetimeIndex, frequency W-SAT; 59 weeks are missing (NaN).

    Notes
    -----
    Source: Keeling and Whorf (2004), Carbon Dioxide Information Analysis Center, through statsmodels. Licence: public
    domain.

    Examples
    --------
    >>> from tsrec.datasets import load_co2
    >>> int(load_co2().isna().sum())
    59
    """
    return _dated(_read("co2"), "date", "W-SAT")["co2"]


def load_elnino() -> pd.Series:
    """Sea surface temperature of the eastern Pacific (Nino 1+2 region), monthly from 1950 to 2010.

    Returns
    -------
    temperature : Series of length 732, float64
        Degrees Celsius; DatetimeIndex, frequency MS, nothing missing.

    Notes
    -----
    Source: NOAA National Weather Service, ERSST.V3B, through statsmodels. Licence: public domain.

    Examples
    --------
    >>> from tsrec.datasets import load_elnino
    >>> int(load_elnino().groupby(lambda month: month.month).mean().idxmax())
    3
    """
    return _dated(_read("elnino"), "month", "MS")["temperature"]


def load_macrodata() -> pd.DataFrame:
    """Twelve macroeconomic series of the United States, quarterly from 1959 to 2009.

    Returns
    -------
    frame : DataFrame of shape (203, 12), float64
        ``realgdp``, ``realcons``, ``realinv``, ``realgovt``, ``realdpi`` (billions of chained 2005 dollars, annual
        rate), ``cpi`` (1982-84 = 100), ``m1`` (billions of dollars), ``tbilrate`` (percent), ``unemp`` (percent),
        ``pop`` (millions), ``infl`` and ``realint`` (percent). PeriodIndex, frequency Q-DEC, nothing missing.

    Notes
    -----
    Source: Federal Reserve Bank of St. Louis (FRED) and U.S. Bureau of Labor Statistics, through statsmodels. Licence:
    public domain.

    Examples
    --------
    >>> from tsrec.datasets import load_macrodata
    >>> load_macrodata().index[0]
    Period('1959Q1', 'Q-DEC')
    """
    frame = _read("macrodata")
    return frame.set_index(pd.PeriodIndex(frame["quarter"], freq="Q-DEC", name="quarter")).drop(columns="quarter")
