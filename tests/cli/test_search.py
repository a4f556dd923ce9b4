"""Search at the shell: series are put in a folder, patterns are looked for in it."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

import tsrec
from tsrec import LSSLEncoder
from tsrec.cli import main
from tsrec.retrieval import SubsequenceRetriever

pytest.importorskip("pyarrow")
HOURS = pd.date_range("2026-01-01", periods=600, freq="h", name="time")
RNG = np.random.default_rng(0)
SITES = {
    name: pd.DataFrame({"load": RNG.normal(size=600).cumsum(), "temp": RNG.normal(size=600).cumsum()}, HOURS).round(3)
    for name in ("north", "south", "west")
}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Files, and an index of three of them."""
    files = tmp_path_factory.mktemp("files")
    for name, frame in SITES.items():
        frame[:500].to_csv(files / f"{name}.csv")
    (files / "later").mkdir()
    SITES["north"][500:].to_csv(files / "later" / "north.csv")
    kinds = pd.DataFrame({"site": list(SITES), "kind": ["a", "b", "a"], "floor": [1, 2, 2]})
    kinds.to_csv(files / "meta.csv", index=False)
    SITES["south"][100:140].to_csv(files / "pattern.csv")
    sites = [str(files / f"{name}.csv") for name in SITES]
    assert main(["search", "index", str(files / "index"), *sites, "--metadata", str(files / "meta.csv")]) == 0
    return files


@pytest.fixture
def files(template, tmp_path):
    return shutil.copytree(template, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def folder(files):
    return files / "index"


@pytest.fixture
def query(folder, files, tsrec_):
    """Matches of a query, as a table."""

    def ask(*arguments):
        answer = tsrec_("search", "query", folder, *arguments, "--out", files / "found.csv")
        assert answer.status == 0, answer.err
        return pd.read_csv(files / "found.csv", parse_dates=["start", "end"])

    return ask


def assert_same(found, expected):
    expected = expected.drop(columns=["query", "verified"]).astype({"series": str})
    pd.testing.assert_frame_equal(found.astype({"series": str}), expected, check_dtype=False, atol=2e-6)


def held():
    return SubsequenceRetriever().fit(pd.concat({name: frame[:500] for name, frame in SITES.items()}, names=["series"]))


@pytest.mark.slow
def test_a_pattern_is_found_where_the_library_finds_it(files, query):
    pattern = SITES["south"][100:140]
    found = query(files / "pattern.csv")
    assert_same(found, held().locate(pattern))
    assert found.loc[0, ["series", "start", "end"]].tolist() == ["south", HOURS[100], HOURS[140]]
    asked = {"k": 2, "where": ["north", "west"], "time_range": (HOURS[48], HOURS[480]), "warp": True}
    shown = query(
        files / "pattern.csv",
        "--k",
        2,
        "--from",
        "2026-01-03",
        "--to",
        "2026-01-21",
        "--warp",
        "--where",
        "north",
        "west",
    )
    assert_same(shown, held().locate(pattern, **asked))
    shown = query(files / "pattern.csv", "--warp", 0.9, 1, "--max-distance", 9)
    assert_same(shown, held().locate(pattern, warp=(0.9, 1), max_distance=9))
    shown = query(files / "pattern.csv", "--channels", "temp", "--verify", "dtw")
    assert_same(shown, held().set_params(verify="dtw").locate(pattern[["temp"]]))


def test_a_table_is_printed_and_a_picture_drawn(folder, files, tsrec_):
    answer = tsrec_("search", "query", folder, files / "pattern.csv", "--k", 1, "--plot", files / "new" / "p.png")
    lines = answer.out.splitlines()
    assert lines[0].split() == ["rank", "series", "start", "end", "score", "distance"]
    assert lines[1].split() == ["0", "south", "2026-01-05", "04:00:00", "2026-01-06", "20:00:00", "1", "0"]
    assert len(lines) == 3
    assert (files / "new" / "p.png").read_bytes().startswith(b"\x89PNG")
    assert "looked for 40 rows of load, temp" in answer.err


def test_matches_are_written_as_json(folder, files, tsrec_):
    tsrec_("search", "query", folder, files / "pattern.csv", "--k", 2, "--output", files / "found.json")
    found = json.loads((files / "found.json").read_text())
    assert len(found) == 2
    assert found[0] == {
        "rank": 0,
        "series": "south",
        "start": "2026-01-05 04:00:00",
        "end": "2026-01-06 20:00:00",
        "score": 1.0,
        "distance": 0.0,
    }


def test_a_part_of_a_file_or_of_a_series_is_a_pattern(files, query):
    whole = query(files / "pattern.csv")
    for part in (
        [files / "south.csv", "--rows", "100:140"],
        [files / "south.csv", "--between", "2026-01-05 04:00", "2026-01-06T20:00"],
        ["--series", "south", "--between", "2026-01-05 04:00", "2026-01-06T20:00"],
        ["--series", "south", "--rows", "100:140"],
    ):
        pd.testing.assert_frame_equal(query(*part), whole)


def test_the_rows_of_a_pattern_need_no_times_and_may_be_upside_down(files, query, write):
    pattern = SITES["south"][100:140]
    both = query(files / "pattern.csv")
    pd.testing.assert_frame_equal(query(write(pattern)), both)
    pd.testing.assert_frame_equal(query(write(pattern[::-1].reset_index())), both)
    one = query(files / "pattern.csv", "--channels", "load")
    pd.testing.assert_frame_equal(query(write(pattern[["load"]])), one)
    pd.testing.assert_frame_equal(query(write(pattern[["load"]].set_axis(["x"], axis=1)), "--channels", "load"), one)
    panel = pd.concat(SITES, names=["site"]).reset_index()
    asked = ["--id", "site", "--series", "south", "--time", "time", "--rows", "100:140"]
    pd.testing.assert_frame_equal(query(write(panel), *asked), both)


def test_series_are_chosen_by_their_metadata(files, query):
    asked = [files / "pattern.csv", "--k", 9, "--max-distance", 99, "--where"]
    assert set(query(*asked, "kind=a")["series"]) == {"north", "west"}
    assert set(query(*asked, "kind=a", "kind=b", "floor=2")["series"]) == {"south", "west"}


def test_rows_and_series_are_appended(folder, files, tsrec_):
    SITES["north"].to_csv(files / "east.csv")
    pd.DataFrame({"site": ["east"], "kind": ["c"], "floor": [3]}).to_csv(files / "more.csv", index=False)
    answer = tsrec_("search", "index", folder, files / "later" / "north.csv", "--append")
    assert answer.out == f"{folder} holds 3 series, 1600 rows\n"
    answer = tsrec_("search", "index", folder, files / "east.csv", "--append", "--metadata", files / "more.csv")
    assert answer.out == f"{folder} holds 4 series, 2200 rows\n"
    retriever = SubsequenceRetriever.load(folder, mode="r")
    pd.testing.assert_frame_equal(retriever.rows("north"), SITES["north"], check_freq=False, check_names=False)
    assert retriever.metadata_.loc["east", "kind"] == "c"
    answer = tsrec_("search", "index", folder, files / "later" / "north.csv", "--append")
    assert "north.csv: series 'north' begins 100 rows before the end of what is known" in answer.err


def test_files_that_go_on_with_a_series_are_put_behind_each_other(files, tsrec_):
    made = files / "made"
    answer = tsrec_("search", "index", made, files / "later" / "north.csv", files / "north.csv", files / "west.csv")
    assert answer.out == f"{made} holds 2 series, 1100 rows\n"
    rows = SubsequenceRetriever.load(made).rows("north")
    np.testing.assert_allclose(rows, SITES["north"])


def test_series_are_named_by_a_column(files, tsrec_, write):
    panel = pd.concat({7: SITES["north"][:50], 8: SITES["south"][:60]}, names=["site"]).reset_index()
    made = files / "made"
    asked = ["--id", "site", "--time", "time", "--target", "load"]
    assert tsrec_("search", "index", made, write(panel), *asked).out == f"{made} holds 2 series, 110 rows\n"
    later = SITES["north"][50:80].reset_index().assign(site=7)
    assert tsrec_("search", "index", made, write(later), "--append", *asked).status == 0
    retriever = SubsequenceRetriever.load(made)
    assert retriever.lengths_.to_dict() == {"7": 80, "8": 60}
    assert list(retriever.channels_) == ["load"]
    query = tsrec_("search", "query", made, "--series", "7", "--rows", "40:60", "--where", "7", "--k", 1)
    assert query.out.splitlines()[1].split()[:3] == ["0", "7", "2026-01-02"]


def test_whole_numbers_are_times(files, tsrec_, write):
    table = pd.DataFrame({"step": np.arange(100, 400), "x": RNG.normal(size=300).round(3)})
    made = files / "made"
    assert tsrec_("search", "index", made, write(table)).status == 0
    answer = tsrec_("search", "query", made, "--between", 150, 170, "--to", 200, "--k", 1)
    assert answer.out.splitlines()[1].split()[1:4] == ["data", "150", "170"]
    assert "--from: 'x' is no time such as 100" in tsrec_("search", "query", made, "--rows", "0:9", "--from", "x").err


def test_info_says_what_a_folder_holds(folder, tsrec_):
    shown = tsrec_("search", "info", folder).out
    assert "3 series, 1500 rows every h, from 2026-01-01 to before 2026-01-21 20:00, 0.0 MB" in shown
    assert "channels: load, temp" in shown
    assert re.search(r"south +500 2026-01-01 2026-01-21 20:00:00 +b +2", shown)


def test_nothing_found_is_said(folder, files, tsrec_):
    answer = tsrec_("search", "query", folder, files / "pattern.csv", "--to", "2026-01-02", "--plot", files / "p.png")
    assert answer.status == 0
    assert "note: nothing was found" in answer.err
    assert answer.out.splitlines()[0].split() == ["rank", "series", "start", "end", "score", "distance"]
    assert (files / "p.png").exists()


def test_a_folder_of_an_encoder_is_opened_with_it(files, tsrec_):
    encoders = [
        LSSLEncoder(d_model=8, n_layers=1, max_epochs=0, random_state=seed).fit(pd.concat(SITES)) for seed in (0, 1)
    ]
    for name, encoder in zip(("own", "other"), encoders, strict=True):
        tsrec.save(encoder, files / f"{name}.tsrec")
    retriever = SubsequenceRetriever(encoder=encoders[0]).fit(
        pd.concat({name: frame[:500] for name, frame in SITES.items()}, names=["series"])
    )
    retriever.save(files / "saved")
    own, asked = ["--encoder", files / "own.tsrec"], ["query", files / "saved", files / "pattern.csv"]
    made = tsrec_("search", "index", files / "made", *(files / f"{name}.csv" for name in SITES), *own)
    assert made.out == f"{files / 'made'} holds 3 series, 1500 rows\n"
    for folder in (files / "saved", files / "made"):
        assert tsrec_("search", "query", folder, *asked[2:], *own, "--out", files / "found.csv").status == 0
        found = pd.read_csv(files / "found.csv", parse_dates=["start", "end"])
        assert_same(found, retriever.locate(SITES["south"][100:140]))
    assert "3 series, 1500 rows" in tsrec_("search", "info", files / "saved", *own).out
    answer = tsrec_("search", "index", files / "made", files / "later" / "north.csv", "--append", *own)
    assert answer.out == f"{files / 'made'} holds 3 series, 1600 rows\n"
    for arguments, message in (
        (asked, "--encoder: this retriever was fitted with another. Name the file of that one"),
        (["info", files / "saved"], "--encoder: this retriever was fitted with another"),
        ([*asked, "--encoder", files / "other.tsrec"], "--encoder: this retriever was fitted with another"),
        ([*asked, "--encoder", files / "none.tsrec"], "--encoder: there is no file"),
        ([*asked, "--encoder", files / "pattern.csv"], "--encoder: .*pattern.csv' is no file written by tsrec.save"),
        (["query", files / "index", asked[2], *own], "--encoder: this retriever was fitted without one. Leave it out"),
    ):
        assert re.search(message, tsrec_("search", *arguments).err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["index", "{f}/new", "{f}/north.csv", "{f}/north.csv"], "'north' begins 500 rows before the end"),
        (["index", "{f}/index", "{f}/north.csv"], r"index' holds something\. Add to it with --append"),
        (["index", "{f}/new", "{f}/north.csv", "--append"], r"there is no folder .*new'"),
        (["index", "{f}/new", "{f}/nort.csv"], r"there is no file .*Did you mean .*north\.csv"),
        (["index", "{f}/new", "{f}/north.csv", "--target", "lod"], "no column 'lod'. Did you mean 'load'"),
        (["index", "{f}/new", "{f}/north.csv", "{f}/daily.csv"], r"daily\.csv is daily \(D\), .*north\.csv hourly"),
        (["index", "{f}/new", "{f}/north.csv", "{f}/other.csv"], r"other\.csv has the columns heat, .* load, temp"),
        (["index", "{f}/index", "{f}/other.csv", "--append"], r"other\.csv: its channels are \['heat'\]"),
        (["index", "{f}/index", "{f}/new.csv", "--append"], "metadata: give a row for each new series"),
        (["index", "{f}/new", "{f}/new.csv", "--metadata", "{f}/meta.csv"], r"--metadata: found no row for \['new'\]"),
        (["query", "{f}/indx", "{f}/pattern.csv"], "there is no folder .*Did you mean .*index"),
        (["query", "{f}/later", "{f}/pattern.csv"], "Give the folder of a store"),
        (["query", "{f}/index", "{f}/pattern.csv", "--k", "0"], "--k: found 0. Give a whole number"),
        (["query", "{f}/index", "{f}/pattern.csv", "--rows", "3-9"], "--rows: found '3-9'"),
        (
            ["query", "{f}/index", "{f}/pattern.csv", "--rows", "3:4"],
            r"--rows: 1 rows of .*pattern\.csv are no pattern",
        ),
        (["query", "{f}/index", "{f}/pattern.csv", "--rows", "3:9", "--between", "1", "2"], "found both"),
        (
            ["query", "{f}/index", "{f}/pattern.csv", "--between", "a", "b"],
            "--between: 'a' is no time such as 2026-01-05",
        ),
        (["query", "{f}/index", "{f}/pattern.csv", "--from", "1/2/2026"], "--from: '1/2/2026' is no time such as"),
        (
            ["query", "{f}/index", "{f}/pattern.csv", "--where", "nort"],
            "there is no series 'nort'. Did you mean 'north'",
        ),
        (["query", "{f}/index", "{f}/pattern.csv", "--where", "knd=a"], "no column 'knd'. Did you mean 'kind'"),
        (["query", "{f}/index", "{f}/pattern.csv", "--channels", "lod"], "no channel 'lod'. Did you mean 'load'"),
        (["query", "{f}/index", "{f}/pattern.csv", "--warp", "0"], "--warp: found 0"),
        (["query", "{f}/index", "{f}/pattern.csv", "--max-distance", "-1"], "--max-distance: found -1"),
        (["query", "{f}/index", "{f}/pattern.csv", "--out", "{f}/pattern.csv"], "--out: .* is the file that is read"),
        (["query", "{f}/index", "{f}/pattern.csv", "--plot", "p.doc"], "--plot: 'p.doc' ends in"),
        (["query", "{f}/index", "{f}/pattern.csv", "--series", "a"], "name the column of .* with --id"),
        (["query", "{f}/index", "{f}/holes.csv"], r"holes\.csv has missing values\. Fill them"),
        (["query", "{f}/index", "{f}/other.csv"], "has the columns heat, the series load, temp. Name them alike"),
        (["query", "{f}/index"], "pattern: there is none. Name a file, or the series"),
        (["query", "{f}/index", "--series", "north"], "which part of it"),
        (["query", "{f}/index", "--series", "nort", "--rows", "0:9"], "--series: there is no series 'nort'"),
        (["query", "{f}/index", "--id", "site", "--rows", "0:9"], "--id: there is no file"),
        (["info", "{f}/nowhere"], "there is no folder"),
    ],
)
def test_errors_say_how_to_go_on(folder, files, arguments, message, tsrec_):
    SITES["north"].rename(columns={"load": "heat"})[["heat"]].to_csv(files / "other.csv")
    SITES["north"].to_csv(files / "new.csv")
    SITES["north"][:30].drop(columns="temp").replace({SITES["north"]["load"].iloc[7]: np.nan}).to_csv(
        files / "holes.csv"
    )
    days = pd.date_range("2026-01-01", periods=600, name="time")
    SITES["north"].set_axis(days).to_csv(files / "daily.csv")
    answer = tsrec_("search", *[argument.format(f=files) for argument in arguments])
    assert answer.status == 2
    assert re.search(message, answer.err), answer.err
    assert not (files / "new").exists()
