"""Embeddings never overstate a distance, and with all frequencies they are it."""

import numpy as np
import pytest

from tsrec.retrieval._exact import standardised
from tsrec.retrieval._fourier import fourier_embeddings

RNG = np.random.default_rng(2)


@pytest.mark.parametrize("m", [2, 5, 16, 33, 64])
def test_distances_are_bounded_from_below(m):
    values = RNG.standard_normal((600, 2)).cumsum(0) + 1e6
    starts = np.arange(0, 600 - m, 7)
    exact = np.stack([standardised(values[i : i + m]).ravel() for i in starts])
    gaps = np.linalg.norm(exact[:, None] - exact, axis=-1)
    for n_features in (2, 8, m + 4):
        found = fourier_embeddings(values, m, starts, n_features)
        assert found.shape == (len(starts), 2 * n_features)
        near = np.linalg.norm(found[:, None].astype(float) - found, axis=-1) * np.sqrt(2 * m)
        assert (near <= gaps + 1e-3).all()
        if n_features >= m:
            np.testing.assert_allclose(near, gaps, atol=1e-3)


def test_constant_windows_are_at_the_origin():
    values = np.r_[np.full(50, 3.0), RNG.standard_normal(50)][:, None]
    found = fourier_embeddings(values, 20, np.array([0, 10, 60]), 8)
    assert not found[:2].any()
    assert found[2].any()
