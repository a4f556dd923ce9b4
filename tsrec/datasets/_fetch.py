"""Benchmark series that do not ship: read from a local folder, or downloaded once, and checked by their SHA-256.

The download addresses are the publishers' own, but are untested: they could not be tried when this was written. What a
download brings is accepted only if its checksum is right.
"""

import gzip
import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

_DATA_HOME = "TSREC_DATA"
_TIMEOUT = 60  # seconds without an answer


class _Remote(NamedTuple):
    """A file of the local folder, the address it comes from, and the SHA-256 of its content (None: checked later)."""

    path: str
    url: str
    sha256: str | None


_ETT_URL = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/"
_ETT = {
    "ETTh1": ("h", "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"),
    "ETTm1": ("15min", "6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e"),
}
_M4_URL = "https://raw.githubusercontent.com/Mcompetitions/M4-methods/master/Dataset/"
_M4 = {
    "Weekly": (
        "d478d3f6ed673e6ed3c2cb0fbed5425f72eedd51318ebebeb0b5ecfcefc37714",
        "3b2bc4be8e636e802260dcd843ca3c5da40536a1fbe1ecb3229a97dae4f44688",
    ),
}


class _M3Group(NamedTuple):
    """One period of M3: its Zenodo record, the number of its first series, its horizon, the SHA-256 of its numbers."""

    record: int
    first: int
    horizon: int
    sha256: str


_M3 = {
    "Yearly": _M3Group(4656222, 1, 6, "8b1c77cf4dc81038b14b8ef398e904845c60d8cdd03b1b0b3ec101ac1257fdda"),
    "Quarterly": _M3Group(4656262, 646, 8, "d174648999649765910bd3433866e480e78dd7d5112f9b8e46b78ad9e2ee779d"),
    "Monthly": _M3Group(4656298, 1402, 18, "a1784df087c29bd3832ed563cf95abcfe06eb053090d023dd0079a3e8e6ecf18"),
    "Other": _M3Group(4656335, 2830, 8, "23d241816121673df54da1a6e4ae714363909e2bd92892927c046b3ce41e3aa9"),
}


def fetch_ett(name: str = "ETTh1", *, data_home: str | Path | None = None) -> pd.DataFrame:
    """Load and oil temperature of an electricity transformer, hourly (ETTh1) or every 15 minutes (ETTm1).

    Parameters
    ----------
    name : {"ETTh1", "ETTm1"}, default "ETTh1"
        Which of the two files, both of the same station.
    data_home : path, optional
        Folder that has the file as ``ett/ETTh1.csv`` or ``ett/ETTh1.csv.gz``; the environment variable TSREC_DATA when
        omitted. A file that is not there is downloaded and kept in pooch's cache folder.

    Returns
    -------
    frame : DataFrame of shape (17420, 7) or (69680, 7), float64
        ``HUFL, HULL, MUFL, MULL, LUFL, LULL`` (high, middle, low useful and useless load) and ``OT`` (oil temperature,
        degrees Celsius, the usual target). DatetimeIndex ``date``, naive local time from 2016-07-01, frequency h or
        15min, nothing missing.

    Raises
    ------
    ValueError
        If the name is unknown, or the content is not the published one.
    OSError
        If there is neither a local file nor a network.

    Notes
    -----
    Source: Zhou et al., Informer, AAAI 2021, github.com/zhouhaoyi/ETDataset. Licence: CC BY-ND 4.0, so the file is
    fetched and not shipped. The usual split is 12, 4 and 4 months of 30 days. The address is untested.

    Examples
    --------
    >>> from tsrec.datasets import fetch_ett
    >>> fetch_ett("ETTh1")  # doctest: +SKIP
    """
    _check_choice("name", name, _ETT)
    freq, sha256 = _ETT[name]
    raw = _content(_Remote(f"ett/{name}.csv", f"{_ETT_URL}{name}.csv", sha256), data_home)
    frame = pd.read_csv(io.BytesIO(raw), index_col="date", parse_dates=["date"])
    frame.index = pd.DatetimeIndex(frame.index, freq=freq)
    return frame


def fetch_m4(frequency: str = "Weekly", *, data_home: str | Path | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The weekly series of the M4 competition, with their official hold-out of 13 steps.

    Parameters
    ----------
    frequency : {"Weekly"}, default "Weekly"
        Which part of the competition; only parts whose checksum is known are offered.
    data_home : path, optional
        Folder that has ``m4_weekly/Weekly-train.csv`` and ``m4_weekly/Weekly-test.csv``, plain or gzip-compressed; the
        environment variable TSREC_DATA when omitted. Files that are not there are downloaded and kept in pooch's cache.

    Returns
    -------
    train, test : DataFrame with one column ``y``, float64
        Panels of 359 series. MultiIndex (``series``, ``time``): the competition's name and a number of the step, 1 for
        the first; the steps of the test go on where those of the train end. The season of the official MASE is 1.

    Raises
    ------
    ValueError
        If the frequency is unknown, or the content is not the published one.
    OSError
        If there is neither a local file nor a network.

    Notes
    -----
    Source: Makridakis, Spiliotis, Assimakopoulos, IJF 36 (2020), github.com/Mcompetitions/M4-methods; no licence is
    stated there, so the files are fetched and not shipped. The addresses are untested.

    Examples
    --------
    >>> from tsrec.datasets import fetch_m4
    >>> train, test = fetch_m4("Weekly")  # doctest: +SKIP
    """
    _check_choice("frequency", frequency, _M4)
    wide = []
    for part, sha256 in zip(("train", "test"), _M4[frequency], strict=True):
        path = f"m4_{frequency.lower()}/{frequency}-{part}.csv"
        url = f"{_M4_URL}{part.capitalize()}/{frequency}-{part}.csv"
        wide.append(pd.read_csv(io.BytesIO(_content(_Remote(path, url, sha256), data_home)), index_col=0))
    train, test = (_ragged(frame) for frame in wide)
    order = pd.Index(test[0]).get_indexer(pd.Index(train[0]))
    return _split([np.r_[x, test[1][j]] for x, j in zip(train[1], order, strict=True)], train[0], wide[1].shape[1])


def fetch_m3(period: str = "Monthly", *, data_home: str | Path | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Series of the M3 competition with one period, with their official hold-out.

    Parameters
    ----------
    period : {"Yearly", "Quarterly", "Monthly", "Other"}, default "Monthly"
        645, 756, 1,428 or 174 series, with a hold-out of 6, 8, 18 or 8 steps. The season of the official MASE is 1, 4,
        12 and 1.
    data_home : path, optional
        Folder that has ``m3/m3_long.csv`` and ``m3/m3_info.csv``, plain or gzip-compressed; the environment variable
        TSREC_DATA when omitted. If it has not, the series are downloaded and kept in pooch's cache.

    Returns
    -------
    train, test : DataFrame with one column ``y``, float64
        MultiIndex (``series``, ``time``): N0001 to N3003 and a number of the step, 1 for the first; the steps of the
        test go on where those of the train end.

    Raises
    ------
    ValueError
        If the period is unknown, or the numbers are not the published ones.
    OSError
        If there is neither a local file nor a network.

    Notes
    -----
    Source: Makridakis and Hibon, IJF 16 (2000). Downloads come from the Monash archive (Zenodo, CC BY 4.0); these
    addresses are untested. That archive is reported to give step 84 of N2786 a minus sign that the R package Mcomp has
    not; all values of M3 are positive, so signs are dropped and both sources agree.

    Examples
    --------
    >>> from tsrec.datasets import fetch_m3
    >>> train, test = fetch_m3("Yearly")  # doctest: +SKIP
    """
    _check_choice("period", period, _M3)
    group = _M3[period]
    home = _home(data_home)
    here = home is not None and _existing(home, "m3/m3_long.csv") and _existing(home, "m3/m3_info.csv")
    series = _m3_local(period, data_home) if here else _m3_monash(period, data_home)
    series = [np.abs(values) for values in series]
    cents = np.round(np.concatenate(series) * 100).astype("<i8")
    lengths = np.array([len(values) for values in series], dtype="<i8")
    _check_sha256(f"M3 {period}", lengths.tobytes() + cents.tobytes(), group.sha256)
    return _split(series, [f"N{group.first + i:04d}" for i in range(len(series))], group.horizon)


def _m3_local(period: str, data_home: str | Path | None) -> list[np.ndarray]:
    """Series of one period, in the competition's order, from the long file."""
    info, long = (
        pd.read_csv(io.BytesIO(_content(_Remote(f"m3/{name}.csv", "", None), data_home)))
        for name in ("m3_info", "m3_long")
    )
    wanted = info.loc[info["period"] == period.upper(), "series_id"]
    rows = long[long["series_id"].isin(wanted)].sort_values(["series_id", "t"])
    ends = np.flatnonzero(np.diff(pd.factorize(rows["series_id"])[0])) + 1
    return np.split(rows["y"].to_numpy(float), ends)


def _m3_monash(period: str, data_home: str | Path | None) -> list[np.ndarray]:
    """Series of one period, in the competition's order, from the Monash archive's zip of one .tsf file."""
    stem = f"m3_{period.lower()}_dataset"
    url = f"https://zenodo.org/records/{_M3[period].record}/files/{stem}.zip"
    with zipfile.ZipFile(io.BytesIO(_content(_Remote(f"m3/{stem}.zip", url, None), data_home))) as archive:
        lines = archive.read(f"{stem}.tsf").decode("cp1252").splitlines()
    rows = [line for line in lines if line and not line.startswith(("#", "@"))]
    return [np.array(row.rsplit(":", 1)[1].split(","), dtype=float) for row in rows]


def _ragged(wide: pd.DataFrame) -> tuple[list[str], list[np.ndarray]]:
    """Names and values of series that stand in rows, padded with blanks on the right."""
    values = wide.to_numpy(float)
    lengths = np.isfinite(values).sum(axis=1)
    return [str(name) for name in wide.index], [row[:n] for row, n in zip(values, lengths, strict=True)]


def _split(series: list[np.ndarray], names: list[str], horizon: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Panel of all series, cut `horizon` steps before the end of each."""
    lengths = np.array([len(values) for values in series])
    time = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
    codes = np.repeat(np.arange(len(names)), lengths)
    index = pd.MultiIndex.from_arrays([pd.Index(names).take(codes), time], names=["series", "time"])
    panel = pd.DataFrame({"y": np.concatenate(series)}, index=index)
    is_test = time > np.repeat(lengths - horizon, lengths)
    return panel[~is_test], panel[is_test]


def _home(data_home: str | Path | None) -> Path | None:
    """Local folder that the caller or the environment names, if any."""
    named = data_home if data_home is not None else os.environ.get(_DATA_HOME)
    return Path(named).expanduser() if named else None


def _existing(home: Path, path: str) -> Path | None:
    """The file, or its gzip-compressed form, whichever is there."""
    return next((file for file in (home / path, home / f"{path}.gz") if file.is_file()), None)


def _content(remote: _Remote, data_home: str | Path | None) -> bytes:
    """Decompressed content of a file: local first, else downloaded once; checked where the checksum is known."""
    home = _home(data_home)
    local = _existing(home, remote.path) if home is not None else None
    if local is None:
        raw = _download(remote, home)
    else:
        raw = gzip.decompress(local.read_bytes()) if local.suffix == ".gz" else local.read_bytes()
    if remote.sha256 is not None:
        _check_sha256(str(local or remote.url), raw, remote.sha256)
    return raw


def _download(remote: _Remote, home: Path | None) -> bytes:
    import pooch

    cache = Path(pooch.os_cache("tsrec"))
    known = f"sha256:{remote.sha256}" if remote.sha256 else None
    try:
        file = pooch.retrieve(
            remote.url,
            known_hash=known,
            fname=remote.path.replace("/", "-"),
            path=cache,
            downloader=pooch.HTTPDownloader(timeout=_TIMEOUT),
        )
    except OSError as err:  # every error of requests is one
        found = (
            f"'{home}' has no {remote.path} or {remote.path}.gz"
            if home
            else f"it is not given, nor is {_DATA_HOME} set"
        )
        raise OSError(
            f"data_home: {found}, and {remote.url} could not be downloaded ({type(err).__name__}: {err}). "
            f"Get the file by other means, store it as FOLDER/{remote.path}, and pass data_home=FOLDER."
        ) from err
    return Path(file).read_bytes()


def _check_sha256(name: str, content: bytes, expected: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(
            f"{name}: the content has SHA-256 {found}, the published one {expected}. The file is incomplete or of "
            "another version: delete it and fetch it again."
        )


def _check_choice(argument: str, value: str, allowed: Mapping[str, object]) -> None:
    if value not in allowed:
        raise ValueError(f"{argument}: got {value!r}, which is not one of {sorted(allowed)}. Pass one of these.")
