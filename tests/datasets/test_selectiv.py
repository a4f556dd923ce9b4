from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.datasets import make_selectiv, selectiv_accuracy


def read(split):
    """Symbols and states of each sequence, in the order in which they were said; -100 for distractors."""
    for x, y, symbol in zip(split.X, split.y, split.symbol, strict=True):
        first = np.flatnonzero(np.diff(symbol, prepend=-1) > 0)
        assert symbol[first].tolist() == list(range(len(first)))
        yield x[:, first].argmax(axis=0).tolist(), y[first].tolist()


def edges(*parts, n_symbols):
    """State that each state and symbol lead to, from all that was said; asserts that it is always the same one."""
    follows = defaultdict(dict)
    for part in parts:
        for shown, states in read(part):
            before = n_symbols**2
            for one, state in zip(shown, states, strict=True):
                if state == -100:
                    continue
                assert follows[before].setdefault(one, state) == state
                before = state
    return follows


@pytest.fixture(scope="module")
def plain():
    return make_selectiv(300, 100, n_symbols=5, length=60, random_state=0)


def test_a_state_follows_from_the_one_before_and_the_symbol(plain):
    follows = edges(*plain, n_symbols=5)
    assert len(follows) > 10
    # The symbol alone does not tell it.
    assert any(len({to[s] for to in follows.values() if s in to}) > 1 for s in range(5))


def test_a_state_is_one_of_its_symbol(plain):
    for part in plain:
        for shown, states in read(part):
            assert [state // 5 for state in states] == shown
            assert all((state == 25) == (one == 5) for one, state in zip(shown, states, strict=True))


def test_strings_begin_at_four_states_of_four_symbols(plain):
    first = edges(*plain, n_symbols=5)[25]
    assert len(first) == 4
    assert 5 not in first


def test_edges_are_as_many_as_stated_and_as_likely_as_each_other():
    train, _ = make_selectiv(400, 1, n_symbols=12, length=300, random_state=1)
    follows = edges(train, n_symbols=12)
    del follows[144]
    between = [sum(one < 12 for one in to) for to in follows.values()]
    assert np.mean(between) == pytest.approx(0.4 * 12, abs=0.4)
    ends = [12 in to for to in follows.values()]
    assert 0 < np.mean(ends) < 0.12
    counts = defaultdict(lambda: defaultdict(int))
    for _, states in read(train):
        for before, state in pairwise(states):
            counts[before][state] += 1
    for to in counts.values():
        total, share = sum(to.values()), 1 / len(to)
        assert all(abs(n / total - share) < 5 * np.sqrt(share / total) for n in to.values())


def test_the_end_is_reached_from_everywhere(plain):
    follows = edges(*plain, n_symbols=5)
    known = {25}
    for _ in follows:
        known |= {before for before, to in follows.items() if known & set(to.values())}
    assert known >= set(follows)


def test_symbols_are_shown_once_and_their_state_is_asked_through_the_gap(plain):
    for part in plain:
        assert part.X.shape == (len(part.X), 6, 120)
        np.testing.assert_array_equal(part.X[:, :, ::2].sum(axis=1), 1)
        assert not part.X[:, :, 1::2].any()
        np.testing.assert_array_equal(part.y[:, ::2], part.y[:, 1::2])
        np.testing.assert_array_equal(part.symbol, np.tile(np.repeat(np.arange(60), 2), (len(part.X), 1)))
        assert part.y.min() >= 0
        assert part.X.dtype == np.float64
        assert part.y.dtype == part.symbol.dtype == np.int64


def test_train_and_test_have_other_strings_of_the_same_grammar(plain):
    train, test = plain
    assert not {tuple(states) for _, states in read(train)} & {tuple(states) for _, states in read(test)}
    _, again = make_selectiv(20, 100, n_symbols=5, length=60, random_state=0)
    np.testing.assert_array_equal(test.y, again.y)


def test_gaps_are_uniform_and_what_is_behind_the_end_is_empty():
    train, _ = make_selectiv(200, 1, n_symbols=4, length=30, gap=(1, 4), noise=0.2, random_state=0)
    lengths = []
    for x, y, symbol in zip(train.X, train.y, train.symbol, strict=True):
        steps = np.bincount(symbol[symbol >= 0])
        assert len(steps) == 30
        lengths.extend(steps - 1)
        assert (symbol[: steps.sum()] >= 0).all()
        assert (symbol[steps.sum() :] == -1).all()
        assert (y[steps.sum() :] == -100).all()
        assert not x[:, steps.sum() :].any()
        assert (x[:, : steps.sum()] > 0).all()
    assert set(lengths) == {1, 2, 3, 4}
    assert np.abs(np.bincount(lengths)[1:] / len(lengths) - 0.25).max() < 4 * np.sqrt(0.25 / len(lengths))
    assert train.X.shape[2] == max((symbol >= 0).sum() for symbol in train.symbol)


def test_noise_is_uniform_and_added():
    quiet, noisy = (make_selectiv(50, 1, n_symbols=4, length=30, noise=noise, random_state=0)[0] for noise in (0, 0.2))
    added = noisy.X - quiet.X
    assert added.min() >= 0
    assert 0.19 < added.max() < 0.2
    assert added.mean() == pytest.approx(0.1, abs=0.003)
    np.testing.assert_array_equal(quiet.y, noisy.y)


def test_distractors_may_not_follow_and_change_nothing():
    options = {"n_symbols": 6, "length": 90, "distractors": 0.1, "distractors_from": 30, "random_state": 0}
    train, _ = make_selectiv(600, 1, **options)
    follows = edges(train, n_symbols=6)
    places = []
    for shown, states in read(train):
        before = 36
        for place, (one, state) in enumerate(zip(shown, states, strict=True)):
            if state == -100:
                assert one < 6
                assert one not in follows[before]
                places.append(place)
            else:
                before = state
    assert min(places) >= 30
    assert len(places) / (600 * 60) == pytest.approx(0.1, abs=0.01)
    assert (train.y[:, 1::2] == train.y[:, ::2]).all()


def test_a_test_gap_is_that_of_test_only_and_leaves_the_strings():
    same = {"n_symbols": 4, "length": 10, "gap": (1, 3), "noise": 0.1, "random_state": 2}
    (train, near), (other, far) = make_selectiv(6, 5, **same), make_selectiv(6, 5, **same, test_gap=20)
    np.testing.assert_array_equal(train.X, other.X)
    assert far.X.shape[2] == 210
    assert [states for _, states in read(near)] == [states for _, states in read(far)]


@pytest.mark.parametrize("n_symbols", [2, 3])
def test_the_smallest_grammars(n_symbols):
    train, _ = make_selectiv(5, 1, n_symbols=n_symbols, length=20, gap=0, distractors=0.5, random_state=0)
    assert train.X.shape == (5, n_symbols + 1, 20)
    edges(train, n_symbols=n_symbols)


def test_the_same_seed_gives_the_same_numbers_and_others_another_grammar():
    def make(seed):
        return make_selectiv(20, 4, n_symbols=4, length=20, gap=(1, 2), noise=0.1, random_state=seed)

    for one, other in zip(make(3), make(np.random.default_rng(3)), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert edges(*make(3), n_symbols=4) != edges(*make(4), n_symbols=4)
    rng = np.random.default_rng(0)
    assert edges(*make(rng), n_symbols=4) != edges(*make(rng), n_symbols=4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_train": 0},
        {"n_test": -1},
        {"n_symbols": 1},
        {"length": 0},
        {"gap": -1},
        {"gap": (3, 1)},
        {"test_gap": (1, 2, 3)},
        {"test_gap": 0.5},
        {"noise": -0.1},
        {"noise": float("inf")},
        {"noise": True},
        {"distractors": 1.1},
        {"distractors_from": -1},
    ],
)
def test_selectiv_refuses_by_name(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: got .* Pass"):
        make_selectiv(**wrong)


def named_one_by_one(scores, y, symbol):
    """By the definition: class with the largest sum of probabilities over the steps of a symbol."""
    right = []
    for odds, answers, numbers in zip(scores, y, symbol, strict=True):
        for number in range(numbers.max() + 1):
            steps = np.flatnonzero(numbers == number)
            if answers[steps[0]] == -100:
                continue
            share = sum(np.exp(odds[t]) / np.exp(odds[t]).sum() for t in steps)
            right.append(share.argmax() == answers[steps[0]])
    return np.mean(right)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_accuracy_is_that_of_the_definition_and_knows_no_constants(seed):
    _, test = make_selectiv(
        1, 6, n_symbols=2, length=8, gap=(0, 3), distractors=0.4, distractors_from=2, random_state=seed
    )
    rng = np.random.default_rng(seed)
    scores = 2 * rng.normal(size=(*test.y.shape, 5))
    accuracy = selectiv_accuracy(scores, test.y, test.symbol)
    assert accuracy == pytest.approx(named_one_by_one(scores, test.y, test.symbol))
    moved = scores + 500 * rng.normal(size=(*test.y.shape, 1))
    assert selectiv_accuracy(moved, test.y, test.symbol) == pytest.approx(accuracy)


def test_all_steps_of_a_symbol_count():
    scores = np.log([[[0.6, 0.4], [0.1, 0.9], [0.6, 0.4]]])
    y = np.array([[1, 1, 1]])
    assert selectiv_accuracy(scores, y, np.array([[0, 0, 0]])) == 1
    assert selectiv_accuracy(scores, y, np.array([[0, 1, 2]])) == pytest.approx(1 / 3)
    # What is not asked is neither right nor wrong.
    assert selectiv_accuracy(scores, np.array([[-100, 1, 1]]), np.array([[0, 1, 1]])) == 1


def test_accuracy_refuses_what_does_not_fit():
    y = np.zeros((2, 3), dtype=int)
    with pytest.raises(ValueError, match=r"scores: got the shape \(2, 4, 5\) beside y of \(2, 3\)"):
        selectiv_accuracy(np.zeros((2, 4, 5)), y, y)
    with pytest.raises(ValueError, match="y: got -100 everywhere"):
        selectiv_accuracy(np.zeros((2, 3, 5)), y - 100, y)
