"""Shapley values: the published table of TEMPO, and the axioms."""

from itertools import permutations

import numpy as np
import pytest

from tsrec.metrics import shapley_values


def test_the_published_errors_on_ettm1():
    # Table 11 of the paper: errors with trend, season and rest kept alone and together.
    table = {"": 1.104, "T": 0.663, "S": 0.472, "R": 0.680, "RS": 0.437, "RT": 0.670, "ST": 0.457, "RST": 0.438}
    found = shapley_values("TSR", lambda chosen: table["".join(sorted(chosen))])
    assert {part: round(value, 4) for part, value in found.items()} == {"T": -0.1508, "S": -0.3628, "R": -0.1523}
    assert sum(found.values()) == pytest.approx(0.438 - 1.104)


def test_they_are_means_over_all_orders_also_of_arrays():
    rng = np.random.default_rng(0)
    worth = {}

    def of(chosen):
        return worth.setdefault(chosen, rng.normal(size=3))

    found = shapley_values("abcd", of)
    expected = dict.fromkeys("abcd", 0.0)
    for order in permutations("abcd"):
        for at, part in enumerate(order):
            expected[part] = expected[part] + (of(frozenset(order[: at + 1])) - of(frozenset(order[:at]))) / 24
    for part in "abcd":
        np.testing.assert_allclose(found[part], expected[part], atol=1e-12)


def test_each_subset_is_asked_once():
    asked = []
    shapley_values("abc", lambda chosen: asked.append(chosen) or 0.0)
    assert len(asked) == len(set(asked)) == 8
