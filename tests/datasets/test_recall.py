import hashlib
from itertools import pairwise

import numpy as np
import pytest

from tsrec.datasets import make_associative_recall, make_mqar


def whole_rows(split):
    """Inputs with the last answer behind them: all that was drawn."""
    return np.concatenate([split.X, split.y[:, -1:]], axis=1)


def digest(rows):
    return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:16]


@pytest.fixture(scope="module")
def recall():
    return make_associative_recall(300, 100, vocab_size=20, length=40, random_state=1)


@pytest.mark.parametrize(
    ("counts", "vocab_size", "length", "digests"),
    [
        ((5000, 500), 20, 40, ["38661e9984dcbcb2", "aa9f4aa566d991e3"]),
        ((200, 50), 10, 20, ["949c3ee7bae7170d", "ca3481b291a8d79b"]),
    ],
)
def test_recall_has_the_numbers_of_the_published_generator(counts, vocab_size, length, digests):
    parts = make_associative_recall(*counts, vocab_size=vocab_size, length=length, random_state=0)
    assert [whole_rows(part).shape for part in parts] == [(count, length + 3) for count in counts]
    assert [digest(whole_rows(part)) for part in parts] == digests


def test_the_first_rows_of_recall():
    train, test = make_associative_recall(200, 50, vocab_size=10, length=20, random_state=0)
    expected = "4 5 3 5 4 5 2 8 2 8 2 8 4 5 1 6 1 6 3 5 9 4 5", "1 7 4 8 4 8 1 7 3 6 4 8 4 8 3 6 4 8 4 8 9 3 6"
    assert whole_rows(train)[0].tolist() == [int(number) for number in expected[0].split()]
    assert whole_rows(test)[0].tolist() == [int(number) for number in expected[1].split()]


def test_a_key_keeps_its_value_and_the_last_answer_is_that_of_the_last_key(recall):
    for part in recall:
        for *pairs, mark, asked, answer in whole_rows(part).tolist():
            table = dict(zip(pairs[::2], pairs[1::2], strict=True))
            assert pairs[1::2] == [table[key] for key in pairs[::2]]
            assert mark == 19
            assert table[asked] == answer


def test_keys_and_values_are_the_halves_of_the_symbols_as_text(recall):
    in_order = sorted([*map(str, range(18)), "=>", "."])
    said = np.concatenate([part.X[:, :-2] for part in recall])
    keys = {in_order[number] for number in said[:, ::2].ravel()}
    values = {in_order[number] for number in said[:, 1::2].ravel()}
    assert keys == {"0", "1", "10", "11", "12", "13", "14", "15", "16"}
    assert values == {"17", *"23456789"}


def test_tables_differ_from_sequence_to_sequence(recall):
    train, _ = recall
    first_key = train.X[:, 0] == train.X[0, 0]
    assert len(np.unique(train.X[first_key, 1])) > 3


def test_no_two_sequences_of_a_part_are_equal():
    # Two keys, two values and two pairs make 4 sequences with one key and 16 with both: all are wanted.
    parts = make_associative_recall(20, 20, vocab_size=6, length=4, random_state=0)
    for part in parts:
        assert len(np.unique(whole_rows(part), axis=0)) == 20


def test_rows_are_shuffled(recall):
    rows = whole_rows(recall[0]).tolist()
    assert any(above > below for above, below in pairwise(rows))


def test_targets_of_train_are_the_next_symbols_and_of_test_the_last_answer_only(recall):
    train, test = recall
    np.testing.assert_array_equal(train.y[:, :-1], train.X[:, 1:])
    assert (test.y[:, :-1] == -100).all()
    assert (test.y[:, -1] > 0).all()
    assert train.X.dtype == train.y.dtype == test.X.dtype == test.y.dtype == np.int64
    assert train.X.shape == train.y.shape == (300, 42)
    assert train.values is None
    assert test.values is None


def test_inputs_and_targets_of_recall_are_apart_in_memory(recall):
    assert not np.shares_memory(recall[0].X, recall[0].y)
    assert all(array.flags.writeable for part in recall for array in part[:2])


def test_a_mean_gap_as_stated():
    _, test = make_associative_recall(1, 2000, random_state=0)
    gaps = [42 - 1 - max(np.flatnonzero(row[:-2] == row[-1])) for row in test.X]
    assert np.mean(gaps) == pytest.approx(14.5, abs=0.8)


def test_one_shot_says_no_key_twice():
    train, test = make_associative_recall(50, 2000, vocab_size=44, length=40, one_shot=True, random_state=0)
    for part in (train, test):
        assert all(len(set(row[:-2:2])) == 20 for row in part.X)
        assert all(
            row[list(row).index(row[-1]) + 1] == answer for row, answer in zip(part.X, part.y[:, -1], strict=True)
        )
    gaps = [41 - list(row).index(row[-1]) for row in test.X]
    assert np.mean(gaps) == pytest.approx(22, abs=0.8)
    with pytest.raises(ValueError, match="vocab_size: got 41, but 20 pairs of different keys need 42"):
        make_associative_recall(5, 5, vocab_size=41, one_shot=True)
    with pytest.raises(ValueError, match="one_shot: got 'no'"):
        make_associative_recall(5, 5, vocab_size=42, one_shot="no")
    make_associative_recall(5, 5, vocab_size=42, one_shot=True)


def test_an_odd_length_counts_as_one_less():
    even, odd = (make_associative_recall(5, 5, length=length, random_state=0)[0].X for length in (10, 11))
    np.testing.assert_array_equal(even, odd)


def test_no_more_sequences_than_there_are():
    # A key and two values give two sequences.
    train, _ = make_associative_recall(2, 1, vocab_size=5, length=2, random_state=0)
    assert sorted(train.X[:, 1]) == [2, 3]
    with pytest.raises(ValueError, match="n_test: got 3, but only 2 different sequences"):
        make_associative_recall(2, 3, vocab_size=5, length=2, random_state=0)


@pytest.mark.parametrize(
    "wrong", [{"n_train": 0}, {"n_test": -1}, {"n_test": 2.0}, {"vocab_size": 3}, {"length": 1}, {"length": True}]
)
def test_recall_refuses_by_name(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: got .* Pass"):
        make_associative_recall(**wrong)


FORMS = pytest.mark.parametrize("n_channels", [16, None])


@pytest.fixture(scope="module")
def queries():
    return make_mqar(60, 20, length=40, n_pairs=5, n_symbols=12, n_channels=16, random_state=2)


def nearest(vectors, table):
    """Rows of `table` that are equal to `vectors`."""
    found = (vectors @ table.T).argmax(axis=-1)
    np.testing.assert_array_equal(table[found], vectors)
    return found


def test_every_key_is_asked_for_once_and_answered_by_the_value_beside_it(queries):
    for part in queries:
        for sequence, y in zip(part.X.transpose(0, 2, 1), part.y, strict=True):
            keys, said = sequence[:5, :8], sequence[:5, 8:]
            asked = np.flatnonzero(y >= 0)
            assert asked.min() >= 5
            order = nearest(sequence[asked, :8], keys)
            assert sorted(order) == [0, 1, 2, 3, 4]
            np.testing.assert_array_equal(part.values[y[asked]], said[order])
            np.testing.assert_array_equal(sequence[asked, 8:], 0)


def test_values_of_a_sequence_differ_and_all_come_up(queries):
    for part in queries:
        answers = [row[row >= 0] for row in part.y]
        assert all(len(set(row)) == 5 for row in answers)
        assert set(np.concatenate(answers)) == set(range(12))


def test_there_is_silence_between_the_queries(queries):
    for part in queries:
        silent = (part.y == -100) & (np.arange(40) >= 5)
        assert silent.sum(axis=1).tolist() == [30] * len(part.y)
        np.testing.assert_array_equal(part.X.transpose(0, 2, 1)[silent], 0)


def test_vectors_are_of_unit_length_and_the_same_for_both_parts(queries):
    train, test = queries
    np.testing.assert_array_equal(train.values, test.values)
    assert train.values.shape == (12, 8)
    np.testing.assert_allclose(np.linalg.norm(train.values, axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(train.X[:, :8, :5], axis=1), 1)
    keys = [np.unique(part.X[:, :8, :5].transpose(0, 2, 1).reshape(-1, 8), axis=0) for part in queries]
    np.testing.assert_array_equal(keys[0], keys[1])
    assert len(keys[0]) == 12
    assert not np.isclose(keys[0] @ train.values.T, 1).any()


def test_the_symbols_of_mqar():
    train, test = make_mqar(60, 20, length=41, n_pairs=5, n_symbols=12, n_channels=None, random_state=2)
    assert train.X.shape == train.y.shape == (60, 41)
    for part in (train, test):
        assert part.values is None
        assert part.X.dtype == part.y.dtype == np.int64
        for row, y in zip(part.X, part.y, strict=True):
            keys, said = row[:10:2], row[1:10:2]
            assert len(set(keys)) == len(set(said)) == 5
            assert set(keys) <= set(range(1, 13))
            assert set(said) <= set(range(13, 25))
            asked = np.flatnonzero(y >= 0)
            table = dict(zip(keys, said, strict=True))
            assert set(row[asked]) == set(keys)
            assert [table[key] for key in row[asked]] == (13 + y[asked]).tolist()
            assert (asked % 2 == 0).all()
            assert np.count_nonzero(row) == 15
            assert (y[y < 0] == -100).all()


@FORMS
def test_the_parts_and_other_seeds_have_other_sequences(n_channels):
    (train, test), (other, _) = (make_mqar(20, 20, n_channels=n_channels, random_state=seed) for seed in (0, 1))
    assert not np.array_equal(train.y, test.y)
    assert not np.array_equal(train.y, other.y)


@pytest.mark.parametrize("power", [0.01, 1.0])
def test_key_after_key_takes_one_of_the_slots_that_are_left(power):
    train, _ = make_mqar(4000, 1, length=12, n_pairs=2, n_symbols=8, n_channels=None, power=power, random_state=0)
    slots = np.stack([(train.X[:, [place]] == train.X[:, 4:]).argmax(axis=1) // 2 for place in (0, 2)])
    weight = np.arange(1, 5) ** (power - 1)
    weight /= weight.sum()
    expected = np.outer(weight / (1 - weight), weight) * (1 - np.eye(4))
    share = np.bincount(4 * slots[0] + slots[1], minlength=16).reshape(4, 4) / 4000
    assert (np.abs(share - expected) <= 4 * np.sqrt(expected / 4000)).all()


@FORMS
def test_all_slots_are_taken_where_there_is_no_room_to_spare(n_channels):
    stride = 1 if n_channels else 2
    train, _ = make_mqar(20, 1, length=8 * stride, n_pairs=4, n_channels=n_channels, random_state=0)
    np.testing.assert_array_equal(np.nonzero(train.y >= 0)[1].reshape(20, 4), [[stride * i for i in range(4, 8)]] * 20)


@FORMS
@pytest.mark.parametrize("power", [0.01, 0.5, 1.0, 2.0])
def test_gaps_follow_the_power(n_channels, power):
    stride = 1 if n_channels else 2
    train, _ = make_mqar(
        4000, 1, length=21 * stride, n_pairs=1, n_symbols=4, n_channels=n_channels, power=power, random_state=0
    )
    slots = (train.y >= 0).argmax(axis=1) // stride
    expected = np.arange(1, 21) ** (power - 1)
    expected /= expected.sum()
    share = np.bincount(slots, minlength=21)[1:] / 4000
    # Four deviations of a share of 4,000 draws.
    assert (np.abs(share - expected) < 4 * np.sqrt(expected / 4000)).all()


def test_several_keys_are_asked_for_early_at_a_low_power_and_anywhere_at_one():
    first, means = {}, {}
    for power in (0.01, 1.0):
        train, _ = make_mqar(1000, 1, length=64, n_pairs=4, power=power, random_state=0)
        slots = np.nonzero(train.y >= 0)[1] - 3
        first[power], means[power] = (slots == 1).mean(), slots.mean()
    assert means[1.0] == pytest.approx(30.5, abs=1.0)
    assert first[1.0] == pytest.approx(1 / 60, abs=0.01)
    assert means[0.01] < 20
    assert first[0.01] > 0.15


@pytest.mark.parametrize("power", [1e-300, 1e6])
def test_extreme_powers_are_no_trouble(power):
    train, _ = make_mqar(5, 1, power=power, random_state=0)
    assert ((train.y >= 0).sum(axis=1) == 4).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_train": 0},
        {"n_test": 1.5},
        {"n_pairs": 0},
        {"length": 7},
        {"length": 15, "n_channels": None},
        {"length": 64.0},
        {"n_symbols": 3},
        {"n_channels": 2},
        {"n_channels": 33},
        {"n_channels": True},
        {"power": 0.0},
        {"power": float("nan")},
        {"power": float("inf")},
        {"power": "1"},
    ],
)
def test_mqar_refuses_by_name(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: got .* Pass"):
        make_mqar(**wrong)


MAKERS = pytest.mark.parametrize(
    "make",
    [
        lambda seed: make_associative_recall(15, 15, vocab_size=6, length=4, random_state=seed),
        lambda seed: make_mqar(8, 4, random_state=seed),
        lambda seed: make_mqar(8, 4, n_channels=None, random_state=seed),
    ],
    ids=["recall", "mqar", "mqar symbols"],
)


@MAKERS
def test_the_same_seed_gives_the_same_numbers(make):
    for one, other in zip(make(3), make(np.random.default_rng(3)), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(make(3)[0].X, make(4)[0].X)
    assert not np.array_equal(make(None)[0].X, make(None)[0].X)


@MAKERS
def test_a_generator_goes_on(make):
    rng = np.random.default_rng(0)
    assert not np.array_equal(make(rng)[0].X, make(rng)[0].X)


@MAKERS
def test_the_global_state_is_left_alone(make):
    name, key, position, *_ = np.random.get_state()  # noqa: NPY002
    make(None)
    after = np.random.get_state()  # noqa: NPY002
    assert (after[0], after[2]) == (name, position)
    np.testing.assert_array_equal(after[1], key)
