"""Answers in the order of stumpy, an implementation that shares no line with ours."""

import numpy as np
import pytest

from tsrec.retrieval import SubsequenceRetriever

stumpy = pytest.importorskip("stumpy")

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(6)
N = 5000
NOISE = RNG.standard_normal(N)
SERIES = {
    "noise": NOISE,
    "walk": NOISE.cumsum(),
    # From 1e6 on, theirs is off by as much as the distance itself.
    "level": 1e3 + NOISE,
    "spikes": np.where(np.arange(N) % 1000 == 500, 1e4, NOISE),
    "flat": np.r_[np.zeros(500), NOISE[:2000], np.full(500, 7.0), NOISE[2000:4000].cumsum()],
    "missing": np.where(np.arange(N) % 700 == 7, np.nan, NOISE),
    "beats": np.sin(np.arange(N) / 9) ** 5 + 0.1 * NOISE,
}


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("m", [16, 100, 256])
def test_matches_are_those_of_stumpy_in_their_order(name, m):
    x = SERIES[name]
    apart = int(np.ceil(m / 4)) + 1
    ours = SubsequenceRetriever(n_neighbors=8, exclusion=apart / m).fit({"x": x})
    for at in (1100, 1800):
        query = x[at : at + m] + 0.01 * NOISE[:m]
        if np.isnan(query).any():
            query = NOISE[:m].cumsum()
        expected = stumpy.match(query, x, max_matches=8, max_distance=np.inf)
        found = ours.locate(query)
        np.testing.assert_allclose(found["distance"], expected[:, 0].astype(float), atol=2e-5)
        # Of nearly equal ones either may come first.
        order = expected[np.lexsort([expected[:, 1].astype(int), np.round(expected[:, 0].astype(float), 4)])]
        swapped = found.iloc[np.lexsort([found["start"], found["distance"].round(4)])]
        assert swapped["start"].tolist() == order[:, 1].tolist()
