"""Decomposition blocks: equal to the decomposers they start from, differentiable, and sums of their parts."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from tsrec import MSTL, STL, FourierSeasonal, MovingAverage, Whittaker
from tsrec.layers.decomposition import FixedDecomposition, LearnedDecomposition, moving_average

RNG = np.random.default_rng(0)
WINDOWS = RNG.normal(size=(7, 48)).cumsum(1)


@pytest.mark.parametrize(
    "model",
    [
        STL(12),
        pytest.param(STL(12, causal=True), marks=pytest.mark.slow),
        pytest.param(MSTL((6, 12)), marks=pytest.mark.slow),
        pytest.param(STL(None), marks=pytest.mark.slow),
        MovingAverage(5),
        pytest.param(Whittaker(), marks=pytest.mark.slow),
        pytest.param(FourierSeasonal(12), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_matrices_do_what_the_decomposer_does(model):
    parts = model.fit_transform(WINDOWS).reshape(7, -1, 48).swapaxes(0, 1)
    block = FixedDecomposition(model.matrices(48)).double()
    x = torch.tensor(WINDOWS)
    np.testing.assert_allclose(block(x), parts, rtol=0, atol=1e-5)
    exact = FixedDecomposition(torch.tensor(model.matrices(48)))
    np.testing.assert_allclose(exact(x), parts, rtol=0, atol=1e-11)
    assert gradcheck(exact, x[:2].requires_grad_())
    torch.testing.assert_close(exact(x.view(7, 1, 48))[:, :, 0], exact(x))


def test_single_precision_is_near():
    matrices = STL(24).fit(np.zeros((1, 336))).matrices(336)
    y = 48 * RNG.normal(size=(5, 336)).clip(-1, 1)
    found = FixedDecomposition(matrices)(torch.tensor(y, dtype=torch.float32))
    wanted = STL(24).fit_transform(y).reshape(5, 3, 336).swapaxes(0, 1)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


def test_a_learned_block_starts_as_the_decomposer_and_is_trained():
    matrices = STL(12).fit(WINDOWS).matrices(48)
    block, x = LearnedDecomposition(48, matrices=matrices), torch.tensor(WINDOWS, dtype=torch.float32)
    parts = block(x)
    torch.testing.assert_close(parts, FixedDecomposition(matrices)(x))
    parts[0].square().sum().backward()
    assert block.trend.weight.grad.abs().sum() > 0
    assert LearnedDecomposition(48, matrices=matrices).state_dict().keys() == block.state_dict().keys()


@pytest.mark.parametrize("matrices", [None, STL(12).fit(WINDOWS).matrices(48)], ids=["average", "STL"])
def test_learned_parts_sum_up_to_the_window(matrices):
    block, x = LearnedDecomposition(48, matrices=matrices), torch.tensor(WINDOWS, dtype=torch.float32)
    parts = block(x)
    assert parts.shape == (3, 7, 48)
    torch.testing.assert_close(parts.sum(0), x, rtol=0, atol=1e-5)


def test_the_published_block_is_an_average_and_two_maps():
    block, x = LearnedDecomposition(48).double(), torch.tensor(WINDOWS)
    padded = np.pad(WINDOWS, ((0, 0), (12, 12)), mode="edge")
    average = np.stack([np.convolve(row, np.ones(25) / 25, "valid") for row in padded])
    np.testing.assert_allclose(moving_average(x, 25), average, atol=1e-12)
    wide, narrow = block.season[0], block.season[2]
    trend = torch.tensor(average) @ block.trend.weight.T + block.trend.bias
    season = torch.relu((x - trend) @ wide.weight.T + wide.bias) @ narrow.weight.T + narrow.bias
    torch.testing.assert_close(block(x), torch.stack((trend, season, x - trend - season)))
    # The published model has 1,131,312 weights here: one map from window to window more, which it never uses.
    assert sum(p.numel() for p in LearnedDecomposition(336).parameters()) == 1_131_312 - 336 * 337
    twin = LearnedDecomposition(48, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(twin(x), block(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "length must be a whole number of at least 1"),
        ({"length": 48, "kernel_size": 4}, "kernel_size must be odd, got 4"),
        (
            {"length": 48, "matrices": np.zeros((2, 24, 24))},
            r"must have shape \(2, 48, 48\), got \(2, 24, 24\)",
        ),
        ({"length": 48, "matrices": np.zeros((2, 48))}, r"matrices must have shape \(n_components, L, L\)"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        LearnedDecomposition(**options)


def test_a_robust_decomposition_is_no_matrix():
    with pytest.raises(ValueError, match="robust=True is not linear"):
        STL(12, robust=True).fit(WINDOWS).matrices(48)
    with pytest.raises(ValueError, match="n=20 is less than two periods of 12"):
        STL(12).fit(WINDOWS).matrices(20)
    with pytest.raises(ValueError, match=r"n: found 0\. Give a whole number of at least 1"):
        MovingAverage(5).fit(WINDOWS).matrices(0)


def test_a_fixed_block_has_matrices_of_its_own():
    matrices = torch.eye(4)[None] / 2
    block, x = FixedDecomposition(matrices), torch.ones(2, 4)
    wanted = block(x)
    matrices.zero_()
    torch.testing.assert_close(block(x), wanted)


@pytest.mark.parametrize(
    "block", [FixedDecomposition(torch.eye(4)[None]), LearnedDecomposition(4)], ids=["fixed", "learned"]
)
def test_what_are_no_windows_of_the_block_is_refused(block):
    with pytest.raises(ValueError, match=r"x must have shape \(\.\.\., 4\).*got \(2, 5\)"):
        block(torch.ones(2, 5))
    with pytest.raises(TypeError, match="x must hold floating numbers"):
        block(torch.ones(2, 4, dtype=torch.int64))
