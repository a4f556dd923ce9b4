import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsrec.datasets import make_dms, make_parity, make_passkey

LOOK_BACK = pytest.mark.parametrize("make", [make_parity, make_dms])


def sequences(split):
    """Bits of each sequence, the last one last, and the answers of its heads."""
    for x, y, steps in zip(split.X[:, 0], split.y, split.n_steps, strict=True):
        yield x[:steps].astype(int).tolist(), y[:, steps - 1].tolist()


def test_parity_is_that_of_the_last_bits():
    for part in make_parity(60, 40, order=(2, 6), random_state=0):
        assert part.orders.tolist() == [2, 3, 4, 5, 6]
        for bits, answers in sequences(part):
            assert answers == [bits[-n:].count(1) % 2 for n in range(2, 7)]


def test_dms_compares_the_bit_n_back_with_the_last_which_is_the_first_one_back():
    for part in make_dms(60, 40, order=(2, 6), random_state=0):
        for bits, answers in sequences(part):
            assert answers == [int(bits[-n] == bits[-1]) for n in range(2, 7)]


@LOOK_BACK
def test_only_the_last_step_is_asked_and_nothing_follows(make):
    for part in make(50, 30, order=(3, 5), random_state=1):
        assert part.X.shape == (len(part.X), 1, 21)
        assert part.y.shape == (len(part.X), 3, 21)
        after = np.arange(21) >= part.n_steps[:, None]
        assert not part.X[:, 0][after].any()
        asked = part.y != -100
        np.testing.assert_array_equal(asked.all(axis=1), np.arange(21) == part.n_steps[:, None] - 1)
        np.testing.assert_array_equal(asked.any(axis=1), asked.all(axis=1))
        assert set(part.y[asked]) == {0, 1}
        assert part.X.dtype == np.float64
        assert part.y.dtype == part.n_steps.dtype == part.orders.dtype == np.int64


@LOOK_BACK
def test_lengths_are_uniform_in_the_bounds_of_the_largest_n(make):
    train, test = make(4000, 1, order=(2, 3), random_state=0)
    assert set(train.n_steps) == set(range(5, 14))
    share = np.bincount(train.n_steps)[5:] / 4000
    assert np.abs(share - 1 / 9).max() < 4 * np.sqrt(1 / 9 / 4000)
    assert 5 <= test.n_steps[0] < 14


@LOOK_BACK
def test_one_order_is_one_head(make):
    one, _ = make(20, 1, order=4, random_state=0)
    several, _ = make(20, 1, order=(2, 4), random_state=0)
    assert one.orders.tolist() == [4]
    np.testing.assert_array_equal(one.X, several.X)
    np.testing.assert_array_equal(one.y, several.y[:, 2:])


def test_bits_of_parity_have_a_share_of_their_own_and_those_of_dms_are_fair():
    shares = {}
    for make in (make_parity, make_dms):
        train, _ = make(3000, 1, order=30, random_state=0)
        shares[make] = train.X[:, 0].sum(axis=1) / train.n_steps
    assert shares[make_parity].mean() == pytest.approx(0.5, abs=0.03)
    assert shares[make_parity].std() == pytest.approx(12**-0.5, abs=0.03)
    assert shares[make_dms].mean() == pytest.approx(0.5, abs=0.01)
    assert shares[make_dms].std() < 0.1


@settings(max_examples=25, deadline=None)
@given(most=st.integers(3, 9), seed=st.integers(0, 2**32 - 1))
def test_parity_of_one_bit_more_is_changed_by_that_bit(most, seed):
    part, _ = make_parity(10, 1, order=(2, most), random_state=seed)
    rows = np.arange(10)
    answers = part.y[rows, :, part.n_steps - 1]
    further = part.X[rows[:, None], 0, part.n_steps[:, None] - np.arange(3, most + 1)].astype(int)
    np.testing.assert_array_equal(answers[:, 1:], answers[:, :-1] ^ further)


@settings(max_examples=25, deadline=None)
@given(most=st.integers(2, 9), seed=st.integers(0, 2**32 - 1))
def test_two_matches_agree_where_the_bits_back_do(most, seed):
    part, _ = make_dms(10, 1, order=(2, most), random_state=seed)
    rows = np.arange(10)
    answers = part.y[rows, :, part.n_steps - 1]
    back = part.X[rows[:, None], 0, part.n_steps[:, None] - part.orders].astype(int)
    agree = back[:, :, None] == back[:, None]
    np.testing.assert_array_equal(answers[:, :, None] == answers[:, None], agree)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_train": 0}, "n_train: got 0"),
        ({"n_test": 1.5}, "n_test: got 1.5"),
        ({"order": 1}, "order: got 1. Pass a whole number, 2 or more"),
        ({"order": (1, 3)}, "order: got 1"),
        ({"order": (5, 3)}, r"order: got \(5, 3\), with the larger number first"),
        ({"order": (2, 3, 4)}, r"order: got \(2, 3, 4\)"),
        ({"order": 3.0}, "order: got 3.0"),
    ],
)
@LOOK_BACK
def test_looking_back_refuses_by_name(make, wrong, message):
    with pytest.raises(ValueError, match=message):
        make(**wrong)


@pytest.fixture(scope="module")
def keys():
    return make_passkey(80, 50, length=40, n_digits=4, n_levels=6, period=7, random_state=0)


def test_the_digits_are_the_heights_of_the_pulses(keys):
    for part in keys:
        for series, y in zip(part.X[:, 0], part.y, strict=True):
            pulses = np.flatnonzero(series >= 1)
            assert (np.diff(pulses) == 2).all()
            np.testing.assert_allclose((series[pulses] - 1) * 5, y[-4:], atol=1e-12)
            assert (y[:-4] == -100).all()
        assert set(part.y[:, -4:].ravel()) == set(range(6))


def test_the_cue_stands_between_key_and_answers(keys):
    for part in keys:
        np.testing.assert_array_equal(np.nonzero(part.X[:, 1]), (np.arange(len(part.X)), [35] * len(part.X)))
        assert (part.X[:, 1, 35] == 1).all()
        assert (np.nonzero(part.X[:, 0] >= 1)[1] < 35).all()


def test_between_pulses_there_is_one_sine(keys):
    for part in keys:
        for series in part.X[:, 0]:
            filler = series < 1
            waves = [0.5 * np.sin(2 * np.pi * (np.arange(40) + phase) / 7) for phase in range(7)]
            assert min(np.abs(series - wave)[filler].max() for wave in waves) < 1e-12
    first = {round(float(series[-1]), 9) for series in keys[0].X[:, 0]}
    assert len(first) == 7


def test_depth_tells_where_the_key_lies(keys):
    for part in keys:
        start = (part.X[:, 0] >= 1).argmax(axis=1)
        # Starts 0 to 28: the last pulse of four is 6 steps later, right before the cue.
        np.testing.assert_allclose(part.depth, (start + 0.5) / 29)
        assert start.min() == 0
        assert start.max() == 28


def test_depths_of_test_are_even_and_those_of_train_are_not(keys):
    train, test = keys
    start = (test.X[:, 0] >= 1).argmax(axis=1)
    np.testing.assert_array_equal(start, (29 * (np.arange(50) + 0.5) / 50).astype(int))
    assert (np.diff(train.depth) < 0).any()


@pytest.mark.parametrize(("depth", "start"), [(0, 0), (0.5, 14), (1.0, 28)])
def test_a_given_depth_is_that_of_both_parts(depth, start):
    for part in make_passkey(5, 4, length=40, n_digits=4, depth=depth, random_state=0):
        np.testing.assert_array_equal((part.X[:, 0] >= 1).argmax(axis=1), start)


def test_a_longer_series_asks_for_the_same_keys():
    _, short = make_passkey(3, 20, length=20, random_state=5)
    _, long = make_passkey(9, 20, length=300, random_state=5)
    np.testing.assert_array_equal(short.y[:, -5:], long.y[:, -5:])


def test_noise_of_a_passkey_is_added_to_the_series_alone():
    quiet, noisy = (make_passkey(50, 1, length=40, noise=noise, random_state=0)[0] for noise in (0, 0.1))
    added = noisy.X[:, 0] - quiet.X[:, 0]
    assert added.min() >= 0
    assert 0.09 < added.max() < 0.1
    np.testing.assert_array_equal(noisy.X[:, 1], quiet.X[:, 1])
    np.testing.assert_array_equal(noisy.y, quiet.y)


def test_the_shortest_passkey_has_no_filler_to_spare():
    train, _ = make_passkey(6, 1, length=15, random_state=0)
    np.testing.assert_array_equal((train.X[:, 0] >= 1).nonzero()[1].reshape(6, 5), [[0, 2, 4, 6, 8]] * 6)
    np.testing.assert_array_equal(train.depth, 0.5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_train": 0},
        {"n_test": 0},
        {"length": 14},
        {"length": 20.0},
        {"depth": 1.5},
        {"depth": -0.1},
        {"depth": "deep"},
        {"depth": float("nan")},
        {"n_digits": 0},
        {"n_levels": 1},
        {"period": 1},
        {"noise": -1},
    ],
)
def test_passkey_refuses_by_name(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: got .* Pass"):
        make_passkey(**{"length": 40, **wrong})


MAKERS = pytest.mark.parametrize(
    "make",
    [
        lambda seed, n=8: make_parity(n, 4, random_state=seed),
        lambda seed, n=8: make_dms(n, 4, random_state=seed),
        lambda seed, n=8: make_passkey(n, 4, length=30, random_state=seed),
    ],
    ids=["parity", "dms", "passkey"],
)


@MAKERS
def test_the_same_seed_gives_the_same_numbers(make):
    for one, other in zip(make(3), make(np.random.default_rng(3)), strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(make(3)[0].X, make(4)[0].X)
    assert not np.array_equal(make(None)[0].X, make(None)[0].X)


@MAKERS
def test_parts_are_apart_and_test_does_not_depend_on_the_size_of_train(make):
    train, test = make(3)
    assert not np.array_equal(train.X[:4], test.X)
    np.testing.assert_array_equal(test.X, make(3, 20)[1].X)


@MAKERS
def test_a_generator_goes_on(make):
    rng = np.random.default_rng(0)
    assert not np.array_equal(make(rng)[0].X, make(rng)[0].X)
