"""A store gives back what was put into it, in memory and on disk, and keeps what it acknowledged, whatever happens."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tsrec.retrieval import _files, _raw
from tsrec.retrieval._directory import Directory
from tsrec.retrieval._memory import Memory

RNG = np.random.default_rng(5)


@pytest.fixture(params=["memory", "directory"])
def store(request, tmp_path):
    if request.param == "memory":
        yield Memory()
        return
    with Directory.make(tmp_path / "store") as made:
        yield made


def fill(store):
    store.create("raw/values of é", "f8", (3,))
    store.append("raw/values of é", RNG.standard_normal((5, 3)))
    store.append("raw/values of é", np.full((1, 3), np.nan))
    store.create("ids", np.int64)
    store.append("ids", [2, 4])
    store.create("none", "M8[us]")
    store.create("flags", bool, (2, 2))
    store.append("flags", RNG.random((7, 2, 2)) < 0.5)
    store.append_table("windows", columns(4, "b"))
    store.append_table("windows", columns(3, "longer"))


def columns(n, text):
    seconds = np.arange(n).astype("M8[s]")
    return {
        "series": np.array([f"{text}{i}" for i in range(n)]),
        "label": np.array([f"{text} {i}" for i in range(n)], object),
        "start": np.where(np.arange(n) == 1, np.datetime64("NaT"), seconds.astype("M8[ns]")),
        "day": seconds,
        "lag": np.arange(n).astype("m8[ms]"),
        "score": np.where(np.arange(n) == 2, np.nan, np.arange(n, dtype="f4")),
        "half": np.arange(n, dtype="f2"),
        "good": np.arange(n) % 2 == 0,
        "code": np.arange(n, dtype="u1"),
    }


def assert_same(one, other):
    assert one.names() == other.names()
    assert one.tables() == other.tables()
    assert one.state == other.state
    for name in one.names():
        a, b = one.array(name), other.array(name)
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    for name in one.tables():
        a, b = one.table(name), other.table(name)
        assert list(a) == list(b)
        for key in a:
            assert a[key].dtype == b[key].dtype
            np.testing.assert_array_equal(a[key], b[key])


def test_what_is_appended_can_be_read_before_and_after_a_commit(store):
    fill(store)
    for _ in range(2):
        assert store.names() == ["raw/values of é", "ids", "none", "flags"]
        assert store.array("raw/values of é").shape == (6, 3)
        assert store.array("none").shape == (0,)
        assert store.array("none").dtype == "M8[us]"
        np.testing.assert_array_equal(store.array("ids"), [2, 4])
        assert store.table("windows")["series"].tolist() == ["b0", "b1", "b2", "b3", "longer0", "longer1", "longer2"]
        store.commit({"k": (1, 2)})
    assert store.state == {"k": [1, 2]}


def test_arrays_handed_out_are_read_only_and_stay_as_they_are(store):
    store.create("x", "i4")
    store.append("x", [1, 2])
    before = store.array("x")
    store.append("x", np.arange(10_000))
    np.testing.assert_array_equal(before, [1, 2])
    np.testing.assert_array_equal(store.array("x"), [1, 2, *range(10_000)])
    with pytest.raises(ValueError, match="read-only"):
        before[0] = 5


def test_an_array_that_was_dropped_may_be_made_anew_in_another_shape(store):
    fill(store)
    store.commit()
    ids = store.array("ids")
    store.drop("ids")
    with pytest.raises(ValueError, match="there is no 'ids'"):
        store.array("ids")
    with pytest.raises(ValueError, match="there is no 'ids'"):
        store.drop("ids")
    if not isinstance(store, Memory):
        assert Directory.open(store.path).array("ids").tolist() == [2, 4]
    store.create("ids", np.float32, (2,))
    store.append("ids", [[1.5, 2.5]])
    store.commit()
    np.testing.assert_array_equal(ids, [2, 4])
    if not isinstance(store, Memory):
        assert Directory.open(store.path, verify=True).array("ids").tolist() == [[1.5, 2.5]]
        assert {path.name for path in store.path.glob("*-*")} <= set(store._files())


def test_appending_costs_no_copy_of_everything(store):
    store.create("x", "f4", (8,))
    grown = 0
    for _ in range(500):
        before = store._room["x"] if isinstance(store, Memory) else None
        store.append("x", np.ones((3, 8)))
        grown += isinstance(store, Memory) and store._room["x"] is not before
    assert grown <= 12
    assert store.array("x").sum() == 500 * 24


def test_a_copy_is_bit_equal_and_comes_back_bit_equal(tmp_path, monkeypatch):
    monkeypatch.setattr("tsrec.retrieval._store.BLOCK", 50)
    first = Memory()
    fill(first)
    first.commit({"name": "é", "pi": 0.1 + 0.2, "none": None})
    with Directory.make(tmp_path / "a") as copy:
        first.copy_to(copy)
        assert_same(first, copy)
    with Directory.open(tmp_path / "a", verify=True) as read, Directory.make(tmp_path / "b") as again:
        assert_same(first, read)
        read.copy_to(again)
        back = Memory()
        again.copy_to(back)
        assert_same(first, back)
        with pytest.raises(ValueError, match=r"holds 'raw/values of é' already\. Give an empty store"):
            read.copy_to(again)


def test_rows_are_forgotten_for_good(store, monkeypatch):
    monkeypatch.setattr("tsrec.retrieval._store.BLOCK", 40)
    fill(store)
    store.commit()
    values, flags, windows = store.array("raw/values of é").copy(), store.array("flags").copy(), store.table("windows")
    some = np.array([0, 1, 0, 1, 1, 0, 1], bool)
    store.rewrite(
        {"raw/values of é": some[:6], "windows": some, "flags": np.ones(7, bool)},
        replace={"ids": [7, 8, 9]},
        state={"forgot": True},
    )
    for _ in range(2):
        np.testing.assert_array_equal(store.array("raw/values of é"), values[some[:6]])
        np.testing.assert_array_equal(store.table("windows")["label"], windows["label"][some])
        np.testing.assert_array_equal(store.array("flags"), flags)
        np.testing.assert_array_equal(store.array("ids"), [7, 8, 9])
        assert store.state == {"forgot": True}
        if isinstance(store, Directory):
            assert len(list(store.path.glob("*.raw"))) == 3  # the array without rows has no file
            assert len(list(store.path.glob("*.parquet"))) == 1
            store.close()
            store = Directory.open(store.path, "a", verify=True)
    store.append("ids", [10])
    store.append_table("windows", columns(1, "c"))
    assert len(store.table("windows")["code"]) == 5
    store.rewrite({"ids": np.zeros(4, bool)}, replace={"windows": {"other": np.arange(2)}})
    assert store.array("ids").shape == (0,)
    assert store.table("windows")["other"].tolist() == [0, 1]
    for change, words in (
        ({"gone": some}, r"there is no 'gone'"),
        ({"ids": some}, r"'ids' has 0 rows, found bool \(7,\)"),
        ({"ids": np.zeros(0)}, r"found float64"),
    ):
        with pytest.raises(ValueError, match=words):
            store.rewrite(change)
    with pytest.raises(ValueError, match="'ids' is in keep too"):
        store.rewrite({"ids": np.zeros(0, bool)}, replace={"ids": [1]})
    if isinstance(store, Directory):
        store.close()


def test_what_does_not_fit_is_refused(store):
    fill(store)
    for call, error, words in (
        (lambda: store.create("ids", int), ValueError, "is a 'ids' already"),
        (lambda: store.create("windows", int), ValueError, "is a 'windows' already"),
        (lambda: store.create("text", "U3"), TypeError, "found <U3"),
        (lambda: store.append("absent", [1]), ValueError, "there is no 'absent'"),
        (lambda: store.array("absent"), ValueError, "there is no 'absent'"),
        (lambda: store.table("absent"), ValueError, "there is no 'absent'"),
        (lambda: store.append("ids", [[1]]), ValueError, r"found shape \(1, 1\) for 'ids'\. Give \(n\)"),
        (lambda: store.append("ids", 1), ValueError, r"found shape \(\)"),
        (lambda: store.append("ids", [1.5]), TypeError, "found float64 for 'ids', which holds int64"),
        (lambda: store.append("ids", np.array([2**63], "u8")), ValueError, "does not fit into 'ids'"),
        (lambda: store.append("none", np.zeros(1, "M8[ns]")), TypeError, r"found datetime64\[ns\]"),
        (lambda: store.append_table("ids", {"a": [1]}), ValueError, "is a 'ids' already"),
        (lambda: store.append_table("t", {}), ValueError, r"found lengths \[\]"),
        (lambda: store.append_table("t", {"a": [1], "b": [1, 2]}), ValueError, r"found lengths \[1, 2\]"),
        (lambda: store.append_table("t", {"a": [[1]]}), ValueError, r"'a' has shape \(1, 1\)"),
        (lambda: store.append_table("t", {"a": np.array(["x", None])}), TypeError, "'a' holds object"),
        (lambda: store.append_table("t", {"a": np.zeros(1, "M8[D]")}), TypeError, r"'a' holds datetime64\[D\]"),
        (lambda: store.append_table("windows", {"a": [1]}), ValueError, r"found \['a'\] for 'windows', which has"),
        (lambda: store.append_table("windows", columns(1, "x") | {"code": [1]}), TypeError, "'code' of 'windows' is"),
        (lambda: store.commit({"a": {1, 2}}), TypeError, "set is not JSON"),
        (lambda: store.commit([1]), TypeError, "found a list"),
    ):
        with pytest.raises(error, match=words):
            call()
    assert len(store.array("ids")) == 2
    assert store.tables() == ["windows"]


def test_small_segments_are_merged_and_stay_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    with Directory.make(tmp_path) as store:
        most, n = 0, 0
        sizes = [1, 40, 1, 2, 3] * 60
        for size in sizes:
            store.append_table("t", {"i": np.arange(n, n + size)})
            store.commit()
            n += size
            most = max(most, len(list(tmp_path.glob("*.parquet"))))
        store.append_table("t", {"i": np.arange(0)})
        store.commit()
        assert most <= 2 * 31
        np.testing.assert_array_equal(store.table("t")["i"], np.arange(n))
    with Directory.open(tmp_path, verify=True) as store:
        np.testing.assert_array_equal(store.table("t")["i"], np.arange(n))
        assert sorted(store._files()) == sorted(path.name for path in tmp_path.glob("*.parquet"))


def test_arrays_larger_than_a_stretch_have_several_checksums(tmp_path, monkeypatch):
    monkeypatch.setattr(_raw, "_STRETCH", 100)
    with Directory.make(tmp_path) as store:
        store.create("x", "i8")
        for i in range(20):
            store.append("x", [i, i])
            store.commit()
        (entry,) = json.loads((tmp_path / "manifest.json").read_text())["arrays"].values()
        assert [stretch[:2] for stretch in entry["stretches"]] == [[0, 14], [14, 14], [28, 12]]
    file = tmp_path / entry["file"]
    content = bytearray(file.read_bytes())
    content[20 * 8] ^= 1
    file.write_bytes(content)
    Directory.open(tmp_path)
    with pytest.raises(ValueError, match=r"'x-000001\.raw' is not as it was written, from row 14 to 28\. Restore it"):
        Directory.open(tmp_path, verify=True)


def committed(path):
    with Directory.make(path) as store:
        store.create("x", "i8")
        store.append("x", np.arange(9))
        store.append_table("t", {"a": np.arange(9)})
        store.commit({"n": 9})
        store.append("x", np.arange(5))
        store.append_table("t", {"a": np.arange(5)})
    return path


def test_what_was_not_committed_is_cut_off_for_a_writer_and_left_out_for_a_reader(tmp_path):
    committed(tmp_path)
    raw = tmp_path / "x-000001.raw"
    orphans = [tmp_path / name for name in ("t-000007.parquet", "y-000009.raw", "manifest.json.part")]
    for orphan in orphans:
        orphan.write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    reader = Directory.open(tmp_path)
    np.testing.assert_array_equal(reader.array("x"), np.arange(9))
    assert raw.stat().st_size == 14 * 8
    assert all(orphan.exists() for orphan in orphans)
    with Directory.open(tmp_path, "a", verify=True) as writer:
        assert raw.stat().st_size == 9 * 8
        assert not any(orphan.exists() for orphan in orphans)
        assert (tmp_path / "notes.txt").exists()
        writer.append("x", [77])
        writer.append_table("t", {"a": np.arange(1)})
        writer.commit()
    with Directory.open(tmp_path, verify=True) as again:
        np.testing.assert_array_equal(again.array("x"), [*range(9), 77])
        assert len(again.table("t")["a"]) == 10
        assert again.state == {"n": 9}
    np.testing.assert_array_equal(reader.array("x"), np.arange(9))


def test_damage_is_named_with_its_mend(tmp_path):
    path = committed(tmp_path / "store")
    manifest, raw, table = path / "manifest.json", path / "x-000001.raw", path / "t-000002.parquet"
    kept = {file: file.read_bytes() for file in (manifest, raw, table)}

    def refused(words, *, verify=False, error=ValueError):
        for mode in "ra":
            with pytest.raises(error, match=words):
                Directory.open(path, mode, verify=verify)
        for file, content in kept.items():
            file.write_bytes(content)

    raw.unlink()
    refused(r"'x-000001\.raw' is missing\. Restore it from a copy")
    raw.write_bytes(kept[raw][:71])
    refused(r"'x-000001\.raw' holds 71 bytes of 72\. Restore")
    table.unlink()
    refused(r"'t-000002\.parquet' is missing")
    table.write_bytes(kept[table][:-1])
    refused(r"'t-000002\.parquet' holds \d+ bytes of \d+")
    table.write_bytes(kept[table][:-1] + b"!")
    refused(r"'t-000002\.parquet' is not as it was written", verify=True)
    table.write_bytes(kept[table][:-1] + b"!")
    with Directory.open(path) as store, pytest.raises(ValueError, match=r"'t-000002\.parquet' cannot be read"):
        store.table("t")
    manifest.write_bytes(kept[manifest][:50])
    refused(r"manifest\.json' is no manifest .* Restore it")
    manifest.write_text(json.dumps(json.loads(kept[manifest]) | {"format": 2, "version": "9.9"}))
    refused(r"has format 2, written by tsrec 9\.9; .* reads up to 1\. Update tsrec")
    manifest.unlink()
    refused(r"there is no manifest\.json in", error=FileNotFoundError)
    with pytest.raises(ValueError, match="found 'w'"):
        Directory.open(path, "w")


def test_folders_of_others_are_refused_and_stores_replaced_at_once(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds 'notes\.txt' already\. Take another folder"):
        Directory.make(tmp_path, overwrite=True)
    path = committed(tmp_path / "store")
    with pytest.raises(FileExistsError, match=r"or save with overwrite=True"):
        Directory.make(path)
    for finish in (False, True):
        with Directory.make(path, overwrite=True) as store:
            assert store.names() == []
            store.create("x", "f4")
            store.append("x", [0.5])
            if finish:
                store.commit()
        with Directory.open(path, verify=True) as store:
            np.testing.assert_array_equal(store.array("x"), [0.5] if finish else np.arange(9))
    assert {file.name for file in path.iterdir()} == {"lock", "manifest.json", *store._files()}


def test_one_writes_and_many_read(tmp_path):
    path = committed(tmp_path)
    writer, reader = Directory.open(path, "a"), Directory.open(path)
    for call in (lambda: Directory.open(path, "a"), lambda: Directory.make(path, overwrite=True)):
        with pytest.raises(BlockingIOError, match=r"is being written already\. Close it there, or open it"):
            call()
    code = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    run = subprocess.run([sys.executable, "-c", code, path / "lock"], capture_output=True, text=True)
    assert "BlockingIOError" in run.stderr
    with pytest.raises(ValueError, match=r"opened to read\. Open it with mode='a'"):
        reader.append("x", [1])
    writer.rewrite({"x": np.arange(9) < 2, "t": np.arange(9) < 2})
    np.testing.assert_array_equal(reader.array("x"), np.arange(9))
    with pytest.raises(ValueError, match=r"was rewritten meanwhile\. Open it again"):
        reader.table("t")
    assert len(Directory.open(path).array("x")) == 2
    del writer  # forgotten without close, it lets go of the lock all the same
    Directory.open(path, "a").close()
    reader.close()
    with pytest.raises(RuntimeError, match=r"cannot be used: it is closed\. Open it again"):
        reader.array("x")


def test_tables_on_disk_name_the_extra_they_need(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with Directory.make(tmp_path) as store:
        store.create("x", "f4")
        store.append("x", [1])
        store.commit()
        store.append_table("t", {"a": np.arange(3)})
        with pytest.raises(ImportError, match=r"pip install 'tsrec\[store\]'"):
            store.commit()


def test_what_a_manifest_names_is_on_the_disk_before_it(tmp_path, monkeypatch):
    path, done = committed(tmp_path), []
    with Directory.open(path, "a") as store:

        def named(handle):
            places = {file.stat().st_ino: file.name for file in (path, *path.iterdir())}
            done.append(places[os.fstat(handle).st_ino].replace(path.name, "folder"))

        replace = os.replace
        monkeypatch.setattr(os, "fsync", named)
        monkeypatch.setattr(os, "replace", lambda *paths: (done.append("replace"), replace(*paths)))
        change(store, "commit")
        assert done == ["x-000001.raw", "t-000003.parquet", "folder", "manifest.json.part", "replace", "folder"]
        done.clear()
        some = np.arange(10) < 5
        store.rewrite({"x": some, "t": some})
        assert done == ["x-000004.raw", "t-000005.parquet", "folder", "manifest.json.part", "replace", "folder"]
        done.clear()
        store.create("y", "i8")
        store.append("y", [1])
        store.commit()
        assert done == ["y-000006.raw", "folder", "manifest.json.part", "replace", "folder"]


STEPS = ("append", "commit", "rewrite")


def change(store, step):
    store.append("x", [100])
    store.append_table("t", {"a": np.array([100])})
    if step == "commit":
        store.commit({"n": 10})
    if step == "rewrite":
        some = np.arange(10) % 2 == 0
        store.rewrite({"x": some, "t": some}, state={"n": 5})


def calls_of(path, monkeypatch, step, fail_at=None):
    """Make a change, with one of its calls of the system failing; tell how many there were."""
    count = 0

    def counted(call):
        def wrapped(*args, **kwargs):
            nonlocal count
            count += 1
            if count - 1 == fail_at:
                raise OSError(28, "No space left on device")
            return call(*args, **kwargs)

        return wrapped

    store = Directory.open(path, "a")
    with monkeypatch.context() as patch:
        for name in ("fsync", "replace"):
            patch.setattr(os, name, counted(getattr(os, name)))
        patch.setattr(_files, "write", counted(_files.write))
        patch.setattr("builtins.open", counted(open))
        try:
            change(store, step)
        except OSError:
            assert fail_at is not None
            if step == "rewrite" and not store._end:  # it could not read, and has written nothing yet
                assert store.array("x").tolist() == [*range(9), 100]
                store.append("x", [1])
            else:
                with pytest.raises(RuntimeError, match=r"cannot be used: writing failed \(OSError\(28.*Open it again"):
                    store.append("x", [1])
                with pytest.raises(RuntimeError, match="cannot be used"):
                    store.array("x")
    if store._end:  # it has let go of the lock
        Directory.open(path, "a").close()
    store.close()
    return count


@pytest.mark.parametrize("step", STEPS)
def test_after_a_failure_at_any_step_the_store_is_as_it_was_or_as_it_should_be(tmp_path, monkeypatch, step):
    before, after = [*range(9)], {"append": [*range(9)], "commit": [*range(9), 100], "rewrite": [0, 2, 4, 6, 8]}[step]
    total = calls_of(committed(tmp_path / "whole"), monkeypatch, step)
    assert total >= {"append": 1, "commit": 10, "rewrite": 12}[step]
    for fail_at in range(total):
        path = committed(tmp_path / str(fail_at))
        calls_of(path, monkeypatch, step, fail_at)
        for mode in "ra":
            with Directory.open(path, mode, verify=True) as store:
                found = store.array("x").tolist()
                assert found in (before, after)
                assert store.table("t")["a"].tolist() == found
                assert store.state == {"n": len(found)}
        with Directory.open(path, "a") as store:
            change(store, "commit")
            assert {file.name for file in path.iterdir()} == {"lock", "manifest.json", *store._files()}


# Forks a writer for each line it reads, so that imports are paid once.
WRITERS = """
import os, sys, numpy as np, pyarrow.parquet
from tsrec.retrieval._directory import Directory

def say(word):  # in one call of the system, so that a kill leaves no half of a line
    os.write(1, f"{word}\\n".encode())

def write(path):
    store = Directory.open(path, "a")
    n = len(store.array("x"))
    say(os.getpid())
    while True:
        for size in (1, 900, 30):
            rows = np.arange(n, n + size)
            store.append("x", np.stack([rows, -rows], 1))
            store.append_table("t", {"i": rows, "name": rows.astype(str)})
            n += size
            store.commit({"n": n})
            say(n)
        if n > 20000:
            first = n - n % 1000 - 1000
            store.rewrite({"x": np.arange(n) < first, "t": np.arange(n) < first}, state={"n": first})
            n = first
            say(n)

for line in sys.stdin:
    child = os.fork()
    if not child:
        write(line.strip())
    os.waitpid(child, 0)
    say("dead")
"""


def kill_and_look(path, times):
    """Start a writer, kill it at some moment, and look at what it left; again and again on one store."""
    with Directory.make(path) as store:
        store.create("x", "i8", (2,))
        store.append_table("t", {"i": np.arange(0), "name": np.array([], "U1")})
        store.commit({"n": 0})
    dice = random.Random(7)
    command = [sys.executable, "-c", WRITERS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        for _ in range(times):
            print(path, file=run.stdin, flush=True)
            writer = int(run.stdout.readline())
            time.sleep(dice.uniform(0.01, 0.4))
            os.kill(writer, signal.SIGKILL)
            told = told_before_death(run.stdout)
            n = look(path)
            if told:  # one more may have been committed than was told, and that may have been a rewriting
                assert n >= int(told[-1]) or n == int(told[-1]) // 1000 * 1000 - 1000
    return n


def told_before_death(lines):
    told = []
    for line in lines:
        if line == "dead\n":
            return told
        told.append(line)
    raise AssertionError("the process that forks the writers has ended")


def look(path):
    """How many rows a store holds, all of them as they were written, and nothing else."""
    with Directory.open(path) as reader, Directory.open(path, "a", verify=True) as writer:
        for store in (reader, writer):
            n = store.state["n"]
            np.testing.assert_array_equal(store.array("x"), np.stack([np.arange(n), -np.arange(n)], 1))
            np.testing.assert_array_equal(store.table("t")["i"], np.arange(n))
            np.testing.assert_array_equal(store.table("t")["name"], np.arange(n).astype(str))
        assert {file.name for file in path.iterdir()} == {"lock", "manifest.json", *writer._files()}
    return n


@pytest.mark.skipif(not hasattr(os, "fork"), reason="writers are forked")
@pytest.mark.slow
def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path):
    assert kill_and_look(tmp_path, times=50) > 0
