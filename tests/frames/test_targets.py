"""One entry per series: targets follow the names of the series where both have them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.frames import align_target, from_rows, read_collection


def panel_frame(lengths=(4, 3), names="ab"):
    parts = {
        name: pd.DataFrame({"x": np.arange(n)}, pd.date_range("2024-01-01", periods=n, freq="h"))
        for name, n in zip(names, lengths, strict=True)
    }
    return pd.concat(parts, names=["id", "time"])


class Arraylike:
    """What says no more of itself than that it becomes an array."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return self.values


@given(st.permutations("abcd"), st.permutations("abcd"))
@settings(max_examples=25, deadline=None)
def test_targets_are_aligned_by_name(order, others):
    collection = read_collection(panel_frame((1, 2, 1, 3), order))
    target = pd.Series([ord(name) for name in others], others)
    assert align_target(target, collection).tolist() == [ord(name) for name in order]
    assert align_target(target.to_frame("t"), collection)["t"].tolist() == [ord(name) for name in order]
    assert target.index.tolist() == list(others)


def test_targets_of_series_with_several_levels_are_aligned():
    collection = read_collection(pd.concat({"n": panel_frame(), "s": panel_frame()}))
    target = pd.Series([4, 3, 2, 1], collection.labels[::-1])
    assert align_target(target, collection).tolist() == [1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"lacks 4 of the 4 series of X, the first is \('n', 'a'\)"):
        align_target(pd.Series([1, 2, 3, 4], list("abcd")), collection)
    deeper = pd.MultiIndex.from_tuples([(*name, 0) for name in collection.labels])
    with pytest.raises(ValueError, match="lacks 4 of the 4 series"):
        align_target(pd.Series([1, 2, 3, 4], deeper), collection)


@pytest.mark.parametrize("target", [[1, 2], np.array([1, 2]), pd.Series([1, 2]), Arraylike([1, 2])])
def test_targets_without_names_go_by_position(target):
    assert align_target(target, read_collection(panel_frame())) is target


def test_numbers_that_name_series_are_told_plainly():
    collection = read_collection({5: [1.0], 7: [2.0]})
    with pytest.raises(ValueError, match=r"lacks 1 of the 2 series of X, the first is 7\."):
        align_target(pd.Series([1, 2], [5, 6]), collection)
    with pytest.raises(ValueError, match=r"index repeats 5\."):
        align_target(pd.Series([1, 2], [5, 5]), collection)


def test_a_default_index_that_names_the_series_aligns():
    collection = read_collection({1: [1.0], 0: [2.0]})
    assert align_target(pd.Series([10, 11]), collection).tolist() == [11, 10]


def test_targets_of_unnamed_collections_stay_as_they_are():
    target = pd.Series([1, 2], ["b", "a"])
    assert align_target(target, read_collection(np.zeros((2, 1, 3)))) is target
    for labels in ("bb", "bc", "ba"):
        assert align_target(target, from_rows(np.zeros((2, 3)), pd.Index(list(labels)))) is target
    assert align_target(target, from_rows(np.zeros((2, 3)), pd.RangeIndex(2))) is target


def test_targets_of_a_table_in_another_order_are_refused():
    with pytest.raises(ValueError, match=r"names in X in another order\. Give y\.loc\[names\], .*X\.index"):
        align_target(pd.Series([1, 2], ["b", "a"]), from_rows(np.zeros((2, 3)), pd.Index(["a", "b"])))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (pd.Series([1, 2], ["a", "c"]), "lacks 1 of the 2 series of X, the first is 'b'"),
        (pd.Series([1], ["b"]), "the first is 'a'"),
        (pd.Series([1, 2], pd.RangeIndex(1, 3)), "lacks 2 of the 2 series of X, the first is 'a'"),
        (pd.Series([1, 2], ["a", "a"]), "index repeats 'a'"),
        (
            pd.Series([1, 2, 3], ["a", "b", "c"]),
            r"numbers of samples: \[2, 3\]\. Its index names 1 series that X lacks, the first is 'c'\. Give y\.loc",
        ),
        ([1, 2, 3], r"Found input variables with inconsistent numbers of samples: \[2, 3\]"),
        (np.zeros((3, 2)), r"samples: \[2, 3\]"),
        (pd.Series([1]), r"samples: \[2, 1\]"),
        (pd.Series([1, 2], [("a", 0), ("b", 0)]), "lacks 2 of the 2 series of X, the first is 'a'"),
        (np.zeros(7), r"samples: \[2, 7\]\. Give y one entry per series, not one per row"),
        (panel_frame()["x"], r"samples: \[2, 7\]\. Give y one entry per series, not one per row"),
    ],
)
def test_targets_that_do_not_fit_are_refused(target, message):
    with pytest.raises(ValueError, match=message):
        align_target(target, read_collection(panel_frame()))


@pytest.mark.parametrize("target", [3, np.array(3)])
def test_a_target_that_is_no_sequence_is_refused(target):
    with pytest.raises(TypeError, match="sample_weight: Expected sequence or array-like"):
        align_target(target, read_collection(panel_frame()), where="sample_weight")


def test_as_many_rows_as_series_are_one_entry_each():
    assert align_target([1, 2], read_collection(panel_frame((1, 1)))) == [1, 2]
