import gzip
import hashlib
import io
import zipfile

import numpy as np
import pandas as pd
import pytest
import requests

from tsrec.datasets import _fetch, fetch_ett, fetch_m3, fetch_m4

ETT = b"date,HUFL,OT\n2016-07-01 00:00:00,1.5,30\n2016-07-01 01:00:00,2.5,31\n2016-07-01 02:00:00,3.5,32\n"
M4_TRAIN = b'"V1","V2","V3","V4"\n"W1","1","2","3"\n"W2","10","20",""\n'
M4_TEST = b'"V1","V2","V3"\n"W2","30","40"\n"W1","4","5"\n'


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(url, **kwargs):
        raise requests.exceptions.ConnectionError("no route to host")

    monkeypatch.setattr("pooch.retrieve", refuse)
    monkeypatch.delenv("TSREC_DATA", raising=False)


@pytest.fixture
def ett_home(tmp_path, monkeypatch):
    monkeypatch.setitem(_fetch._ETT, "ETTh1", ("h", sha256(ETT)))
    (tmp_path / "ett").mkdir()
    (tmp_path / "ett" / "ETTh1.csv.gz").write_bytes(gzip.compress(ETT))
    return tmp_path


def test_ett_is_read_from_a_local_compressed_file(ett_home):
    frame = fetch_ett("ETTh1", data_home=ett_home)
    assert frame.index.freq == "h"
    assert frame["OT"].tolist() == [30, 31, 32]


def test_the_environment_variable_names_the_local_folder(ett_home, monkeypatch):
    monkeypatch.setenv("TSREC_DATA", str(ett_home))
    assert fetch_ett("ETTh1").shape == (3, 2)


def test_a_plain_file_goes_before_a_compressed_one(ett_home):
    (ett_home / "ett" / "ETTh1.csv").write_bytes(ETT)
    (ett_home / "ett" / "ETTh1.csv.gz").write_bytes(b"not read")
    assert fetch_ett("ETTh1", data_home=ett_home).shape == (3, 2)


def test_changed_content_is_refused(ett_home):
    (ett_home / "ett" / "ETTh1.csv.gz").write_bytes(gzip.compress(ETT + b"\n"))
    with pytest.raises(ValueError, match=r"ETTh1.csv.gz: the content has SHA-256 .* fetch it again"):
        fetch_ett("ETTh1", data_home=ett_home)


def test_without_file_and_network_the_message_says_what_to_do(tmp_path):
    with pytest.raises(OSError, match=r"data_home: .* has no ett/ETTh1.csv .*could not be downloaded .*store it as"):
        fetch_ett("ETTh1", data_home=tmp_path)
    with pytest.raises(OSError, match="nor is TSREC_DATA set"):
        fetch_m3("Yearly")


@pytest.mark.parametrize(("fetch", "name"), [(fetch_ett, "ETTh9"), (fetch_m3, "monthly"), (fetch_m4, "Daily")])
def test_unknown_names_are_refused_with_the_known_ones(fetch, name):
    with pytest.raises(ValueError, match=f"got '{name}', which is not one of"):
        fetch(name)


def test_m4_test_rows_follow_the_train_rows_of_the_same_series(tmp_path, monkeypatch):
    monkeypatch.setitem(_fetch._M4, "Weekly", (sha256(M4_TRAIN), sha256(M4_TEST)))
    (tmp_path / "m4_weekly").mkdir()
    (tmp_path / "m4_weekly" / "Weekly-train.csv").write_bytes(M4_TRAIN)
    (tmp_path / "m4_weekly" / "Weekly-test.csv").write_bytes(M4_TEST)
    train, test = fetch_m4("Weekly", data_home=tmp_path)
    assert train["y"].to_dict() == {("W1", 1): 1, ("W1", 2): 2, ("W1", 3): 3, ("W2", 1): 10, ("W2", 2): 20}
    assert test["y"].to_dict() == {("W1", 4): 4, ("W1", 5): 5, ("W2", 3): 30, ("W2", 4): 40}


def m3_fingerprint(series):
    cents = np.round(np.concatenate(series) * 100).astype("<i8")
    return sha256(np.array([len(x) for x in series], "<i8").tobytes() + cents.tobytes())


@pytest.fixture
def m3_group(monkeypatch):
    series = [np.arange(1.0, 5.0), np.arange(1.0, 4.0)]
    monkeypatch.setitem(_fetch._M3, "Other", _fetch._M3Group(4656335, 2830, 2, m3_fingerprint(series)))


M3_TRAIN = {("N2830", 1): 1.0, ("N2830", 2): 2.0, ("N2831", 1): 1.0}
M3_TEST = {("N2830", 3): 3.0, ("N2830", 4): 4.0, ("N2831", 2): 2.0, ("N2831", 3): 3.0}


@pytest.mark.usefixtures("m3_group")
def test_m3_is_read_from_the_local_long_file(tmp_path):
    (tmp_path / "m3").mkdir()
    (tmp_path / "m3" / "m3_info.csv").write_text("series_id,period\nN0001,YEARLY\nN2830,OTHER\nN2831,OTHER\n")
    rows = ["N0001,1,9", "N2830,2,2", "N2830,1,1", "N2830,3,3", "N2830,4,4", "N2831,1,1", "N2831,2,2", "N2831,3,3"]
    (tmp_path / "m3" / "m3_long.csv").write_text("\n".join(["series_id,t,y", *rows, ""]))
    train, test = fetch_m3("Other", data_home=tmp_path)
    assert train["y"].to_dict() == M3_TRAIN
    assert test["y"].to_dict() == M3_TEST


@pytest.mark.usefixtures("m3_group")
def test_m3_is_downloaded_from_the_archive_where_a_sign_may_be_wrong(tmp_path, monkeypatch):
    text = "# words\n@data\nT1:1990-01-01 00-00-00:1.00,2.00,-3.00,4.00\nT2:1990-01-01 00-00-00:1,2,3\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("m3_other_dataset.tsf", text)
    (tmp_path / "got.zip").write_bytes(packed.getvalue())
    monkeypatch.setattr("pooch.retrieve", lambda url, **kwargs: str(tmp_path / "got.zip"))
    train, test = fetch_m3("Other")
    assert train["y"].to_dict() == M3_TRAIN
    assert test["y"].to_dict() == M3_TEST


def test_time_is_a_one_based_integer():
    train, test = _fetch._split([np.arange(3.0)], ["a"], 1)
    assert pd.api.types.is_integer_dtype(train.index.get_level_values("time"))
    assert (train.index[0], test.index[0]) == (("a", 1), ("a", 3))
