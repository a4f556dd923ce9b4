import numpy as np
import pytest

from tsrec.datasets import make_listops
from tsrec.datasets._listops import _read_tree

SYMBOLS = ["", *"0123456789", "[MIN", "[MAX", "[MED", "[SM", "]"]


def evaluate(tokens):
    """What an expression comes to, and how deep it goes; with a stack of the lists that are open."""
    stack, deepest = [[]], 0
    for token in tokens:
        deepest = max(deepest, len(stack))
        if token.startswith("["):
            stack.append([token])
        elif token == "]":
            name, *numbers = stack.pop()
            assert len(numbers) >= 2
            how = {"[MIN": min, "[MAX": max, "[MED": lambda n: int(np.median(n)), "[SM": lambda n: sum(n) % 10}[name]
            stack[-1].append(how(numbers))
        else:
            stack[-1].append(int(token))
    ((value,),) = stack
    return value, deepest


def spelled(X):
    return [[SYMBOLS[number] for number in row] for row in X]


@pytest.fixture(scope="module")
def short():
    return make_listops(300, min_length=5, max_length=60, max_depth=6, max_arguments=5, random_state=0)


@pytest.fixture(scope="module")
def usual():
    return make_listops(150, random_state=0)


@pytest.mark.parametrize(
    ("text", "value", "depth"),
    [
        ("7", 7, 1),
        ("[MAX 2 9 [MIN 4 7 ] 0 ]", 9, 3),
        ("[MIN [MAX 3 5 ] [SM 9 8 ] ]", 5, 3),
        ("[MED 1 2 9 8 ]", 5, 2),
        ("[MED 4 1 3 ]", 3, 2),
        ("[MED 3 4 ]", 3, 2),
        ("[SM 9 9 9 [SM 1 [MED 0 9 ] ] ]", 2, 4),
    ],
)
def test_expressions_by_hand(text, value, depth):
    tokens = text.split()
    assert evaluate(tokens) == (value, depth)
    # The nodes of a tree are listed depth after depth.
    levels, open_at = [([], []) for _ in range(depth)], []
    for token in tokens:
        if token == "]":
            here, place = open_at.pop()
            levels[len(open_at)][0][place] = here
            continue
        arguments, symbols = levels[len(open_at)]
        arguments.append(0)
        symbols.append(SYMBOLS.index(token))
        if open_at:
            open_at[-1][0] += 1
        if token.startswith("["):
            open_at.append([0, len(symbols) - 1])
    written, found = _read_tree([(np.array(arguments), np.array(symbols)) for arguments, symbols in levels])
    assert spelled([written]) == [tokens]
    assert found == value


def test_digits_are_what_the_expressions_come_to(short, usual):
    for X, y in (short, usual):
        assert [evaluate(tokens)[0] for tokens in spelled(X)] == y.tolist()
        assert y.dtype == np.int64
        assert all(row.dtype == np.int64 and row.ndim == 1 for row in X)


def test_lengths_lie_between_the_bounds_and_touch_neither():
    X, _ = make_listops(300, min_length=4, max_length=8, random_state=0)
    assert {len(row) for row in X} == {5, 6, 7}


def test_depth_and_arguments_are_within_bounds_and_reach_them(short):
    tokens = spelled(short[0])
    assert max(evaluate(row)[1] for row in tokens) == 6
    flat = [row for row in tokens if row.count("]") == 1]
    assert {len(row) - 2 for row in flat} == {4, 5}


def test_no_two_expressions_are_alike():
    # All but 3 of the 400 shortest expressions; most draws are there already.
    X, y = make_listops(397, min_length=3, max_length=5, max_arguments=2, random_state=0)
    assert len({tuple(row) for row in X}) == len(X) == len(y) == 397


def test_all_symbols_come_up_and_padding_does_not(usual):
    assert set(np.concatenate(usual[0])) == set(range(1, 16))


def test_three_nodes_of_four_are_digits_above_the_last_depth():
    X, _ = make_listops(2000, min_length=3, max_length=2000, max_depth=3, max_arguments=10, random_state=0)
    below = lists = 0
    for tokens in spelled(X):
        depth = 1
        for token in tokens:
            below += depth == 2 and token != "]"
            lists += depth == 2 and token.startswith("[")
            depth += token.startswith("[") - (token == "]")
    assert lists / below == pytest.approx(0.25, abs=0.02)


def test_the_mean_length_at_the_defaults(usual):
    # 1,036 with a deviation of 390 from one to the next: 32 for the mean of 150.
    lengths = [len(row) for row in usual[0]]
    assert np.mean(lengths) == pytest.approx(1036, abs=100)
    assert min(lengths) > 500
    assert max(lengths) < 2000


def test_a_tree_may_be_deeper_than_the_stack_of_python():
    n = 1500
    levels = [(np.array([2]), np.array([14]))]
    levels += [(np.array([2, 0]), np.array([14, 2]))] * (n - 1) + [(np.array([0, 0]), np.array([2, 2]))]
    written, value = _read_tree(levels)
    assert len(written) == 3 * n + 1
    assert value == (n + 1) % 10


def test_single_digits_are_the_shortest_expressions():
    X, y = make_listops(10, min_length=0, max_length=2, random_state=0)
    assert sorted(y) == list(range(10))
    np.testing.assert_array_equal(np.concatenate(X), y + 1)


@pytest.mark.parametrize(
    ("bounds", "found"), [({"max_depth": 1}, 0), ({"n_series": 11, "min_length": 0, "max_length": 2}, 10)]
)
def test_what_is_not_to_be_found_is_said(bounds, found, monkeypatch):
    monkeypatch.setattr("tsrec.datasets._listops._MOST_MISSES", 2000)
    with pytest.raises(ValueError, match=rf"^n_series: got \d+, but only {found} different expressions .* Pass"):
        make_listops(**bounds, random_state=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_series": 0},
        {"n_series": 1.0},
        {"min_length": -1},
        {"max_length": 501},
        {"max_depth": 0},
        {"max_arguments": 1},
    ],
)
def test_listops_refuses_by_name(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: got .* Pass"):
        make_listops(**wrong)


def make(seed):
    return make_listops(20, min_length=5, max_length=60, random_state=seed)


def test_the_same_seed_gives_the_same_expressions():
    (X, y), (again, y_again), (others, _) = make(3), make(np.random.default_rng(3)), make(4)
    assert spelled(X) == spelled(again)
    np.testing.assert_array_equal(y, y_again)
    assert spelled(X) != spelled(others)


def test_a_generator_goes_on_and_none_is_never_the_same():
    rng = np.random.default_rng(0)
    assert spelled(make(rng)[0]) != spelled(make(rng)[0])
    assert spelled(make(None)[0]) != spelled(make(None)[0])


def test_the_global_state_is_left_alone():
    name, key, position, *_ = np.random.get_state()  # noqa: NPY002
    make(None)
    after = np.random.get_state()  # noqa: NPY002
    assert (after[0], after[2]) == (name, position)
    np.testing.assert_array_equal(after[1], key)
