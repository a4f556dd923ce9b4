"""Ridge heads: normal equations, and rows left out for real."""

import pytest
import torch

from tsrec.layers import ridge_head
from tsrec.layers.ridge_head import RidgeLinear, fit_ridge_head

SHAPES = {"dual": (15, 40), "square": (20, 20), "primal": (60, 7)}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def problem(n, size, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, size, generator=g, dtype=torch.float64) * 3 + 1
    y = torch.randn(n, 2, generator=g, dtype=torch.float64) + x[:, :2]
    return x, y, torch.rand(n, generator=g, dtype=torch.float64) + 0.2


def solved(z, y, w, penalty):
    """Weights and intercept by the normal equations, the intercept unpenalised."""
    n, size = z.shape
    one = torch.cat([z, torch.ones(n, 1, dtype=z.dtype)], 1)
    P = penalty * torch.eye(size + 1, dtype=z.dtype)
    P[-1, -1] = 0
    return torch.linalg.solve(one.T @ (w[:, None] * one) + P, one.T @ (w[:, None] * y))


def answers(head, x):
    return (x - head.mean) / head.scale @ head.weight.T + head.bias


@every_shape
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("penalty", [1e-4, 1.0])
def test_the_head_solves_the_normal_equations_and_rows_are_left_out_exactly(shape, weighted, penalty, monkeypatch):
    monkeypatch.setattr(ridge_head, "PENALTIES", (penalty,))
    x, y, w = problem(*shape)
    w = w if weighted else torch.ones_like(w)
    head = fit_ridge_head(x, y, w if weighted else None)
    z = (x - head.mean) / head.scale
    absolute = penalty * float((w[:, None] * z**2).sum()) / len(x)
    B = solved(z, y, w, absolute)
    torch.testing.assert_close(head.weight.T, B[:-1], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(answers(head, x), z @ B[:-1] + B[-1], rtol=1e-7, atol=1e-9)
    for i in range(0, len(x), 4):
        kept = torch.arange(len(x)) != i
        B = solved(z[kept], y[kept], w[kept], absolute)
        torch.testing.assert_close(head.held_out[i], z[i] @ B[:-1] + B[-1], rtol=1e-6, atol=1e-7)


@every_shape
def test_the_penalty_is_the_best_on_rows_left_out(shape, monkeypatch):
    x, y, w = problem(*shape, seed=3)
    head = fit_ridge_head(x, y, w)
    errors = {}
    for penalty in ridge_head.PENALTIES:
        monkeypatch.setattr(ridge_head, "PENALTIES", (penalty,))
        errors[penalty] = float((w[:, None] * (y - fit_ridge_head(x, y, w).held_out) ** 2).sum())
    assert head.penalty == min(errors, key=errors.get)


@pytest.mark.slow
@every_shape
@pytest.mark.parametrize("noise", [0, 4])
def test_the_penalty_has_the_least_error_of_all_when_rows_are_left_out_for_real(shape, noise):
    x, y, w = problem(*shape, seed=3)
    y = y + noise * torch.randn(y.shape, generator=torch.Generator().manual_seed(9), dtype=y.dtype)
    head = fit_ridge_head(x, y, w)
    z = (x - head.mean) / head.scale
    unit, errors, chosen = float((w[:, None] * z**2).sum()) / len(x), {}, None
    for penalty in ridge_head.PENALTIES:
        left_out = []
        for i in range(len(x)):
            kept = torch.arange(len(x)) != i
            B = solved(z[kept], y[kept], w[kept], penalty * unit)
            left_out.append(z[i] @ B[:-1] + B[-1])
        left_out = torch.stack(left_out)
        errors[penalty] = float((w[:, None] * (y - left_out) ** 2).sum())
        chosen = left_out if penalty == head.penalty else chosen
    assert head.penalty == min(errors, key=errors.get)
    torch.testing.assert_close(head.held_out, chosen, rtol=1e-5, atol=1e-6)


@every_shape
def test_few_features_and_many_rows_give_what_many_features_and_few_rows_give(shape):
    """A feature that does not vary changes nothing, but for which of the two Gram matrices is the smaller one."""
    x, y, w = problem(*shape)
    size = x.shape[1]
    padded = torch.cat([x, torch.full((len(x), 70), 3.0, dtype=x.dtype)], 1)
    one, other = fit_ridge_head(x, y, w), fit_ridge_head(padded, y, w)
    assert one.penalty == other.penalty
    torch.testing.assert_close(other.weight[:, :size], one.weight, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(other.held_out, one.held_out, rtol=1e-6, atol=1e-7)
    assert (other.weight[:, size:] == 0).all()


@every_shape
def test_features_are_standardised_by_weighted_moments(shape):
    x, y, w = problem(*shape)
    head = fit_ridge_head(x, y, w)
    mean = (w[:, None] * x).sum(0) / w.sum()
    torch.testing.assert_close(head.mean, mean)
    torch.testing.assert_close(head.scale, ((w[:, None] * (x - mean) ** 2).sum(0) / w.sum()).sqrt())
    torch.testing.assert_close(head.bias, (w[:, None] * y).sum(0) / w.sum())


@every_shape
def test_units_and_offsets_of_features_and_weights_change_no_answer(shape):
    x, y, w = problem(*shape)
    units = torch.logspace(-3, 3, x.shape[1], dtype=x.dtype)
    one, other = fit_ridge_head(x, y, w), fit_ridge_head(x * units - 5 * units, y, 7 * w)
    torch.testing.assert_close(other.held_out, one.held_out, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(answers(other, x * units - 5 * units), answers(one, x), rtol=1e-6, atol=1e-7)


@every_shape
def test_each_target_has_coefficients_of_its_own(shape, monkeypatch):
    monkeypatch.setattr(ridge_head, "PENALTIES", (0.1,))
    x, y, w = problem(*shape)
    both = fit_ridge_head(x, y, w)
    for k in range(2):
        one = fit_ridge_head(x, y[:, k : k + 1], w)
        torch.testing.assert_close(one.weight[0], both.weight[k])
        torch.testing.assert_close(one.held_out[:, 0], both.held_out[:, k])


def test_a_constant_target_is_answered_by_itself():
    x, y, w = problem(20, 30)
    head = fit_ridge_head(x, torch.full_like(y, 2.5), w)
    torch.testing.assert_close(answers(head, 100 * x), torch.full_like(y, 2.5))
    torch.testing.assert_close(head.held_out, torch.full_like(y, 2.5))


@every_shape
def test_blocks_change_nothing(shape, monkeypatch):
    x, y, w = problem(*shape)
    whole = fit_ridge_head(x, y, w)
    monkeypatch.setattr(ridge_head, "_BLOCK", 4)
    for part, other in zip(fit_ridge_head(x, y, w), whole, strict=True):
        torch.testing.assert_close(part, other, rtol=1e-6, atol=1e-9)


def test_weight_two_is_a_row_that_is_there_twice():
    x, y, w = problem(30, 5)
    w = torch.where(w > 0.8, 2.0, 1.0).double()
    twice = torch.cat([torch.arange(30), (w == 2).nonzero()[:, 0]])
    one, other = fit_ridge_head(x, y, w), fit_ridge_head(x[twice], y[twice])
    torch.testing.assert_close(one.mean, other.mean)
    torch.testing.assert_close(one.scale, other.scale)


@pytest.mark.parametrize("shape", [(12, 30), (30, 5)], ids=["dual", "primal"])
def test_weight_two_gives_the_coefficients_of_a_row_that_is_there_twice(shape, monkeypatch):
    x, y, w = problem(*shape)
    w = torch.where(w > 0.8, 2.0, 1.0).double()
    twice = torch.cat([torch.arange(len(x)), (w == 2).nonzero()[:, 0]])

    def fit(penalty, *data):
        # The penalty is relative to the mean square of a row, which more rows make smaller.
        monkeypatch.setattr(ridge_head, "PENALTIES", (penalty * len(data[0]),))
        return fit_ridge_head(*data)

    one, other = fit(0.01, x, y, w), fit(0.01, x[twice], y[twice])
    torch.testing.assert_close(one.weight, other.weight, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(answers(one, x), answers(other, x))


def test_a_constant_feature_gets_no_weight_and_constant_features_give_the_mean():
    x, y, _ = problem(20, 5)
    x[:, 2] = 4.0
    head = fit_ridge_head(x.float(), y)
    assert head.weight[:, 2].abs().max() < 1e-12
    flat = fit_ridge_head(torch.ones(6, 9), y[:6])
    torch.testing.assert_close(answers(flat, torch.ones(3, 9)), y[:6].mean(0).expand(3, -1))
    assert flat.held_out.isfinite().all()


def test_a_linear_layer_adopts_the_head():
    x, y, w = problem(20, 30)
    x[:, 0] = 1.0
    head = fit_ridge_head(x, y, w)
    layer = RidgeLinear(30, 2).double()
    layer.adopt(head)
    torch.testing.assert_close(layer(x), answers(head, x))
    assert not list(layer.parameters())
    saved = RidgeLinear(30, 2).double()
    saved.load_state_dict(layer.state_dict())
    assert torch.equal(saved(x), layer(x))
    changed = x.clone()
    changed[:, 0] = 1e6
    assert torch.equal(layer(changed), layer(x))


def test_small_variation_on_a_large_mean_counts_as_far_as_its_digits_go():
    g = torch.Generator().manual_seed(3)
    z = torch.randn(40, 1, generator=g, dtype=torch.float64)
    for x in (1e6 + z / 2, 1e-13 * z, 1000 + 0.002 * z):
        head = fit_ridge_head(x, z)
        torch.testing.assert_close(answers(head, x), z, rtol=0, atol=1e-3)
    # In single precision what is left of z is known to some thousandths here, and no shift comes on top.
    single = (1000 + 0.002 * z).float()
    linear, head = RidgeLinear(1, 1), fit_ridge_head(single, z)
    linear.adopt(head)
    torch.testing.assert_close(linear(single).double(), answers(head, single), rtol=0, atol=1e-5)
    assert fit_ridge_head(torch.full((9, 1), 0.1), z[:9]).weight.item() == 0


def test_rows_without_weight_are_refused():
    x, y, w = problem(9, 3)
    w[4] = 0
    with pytest.raises(ValueError, match="weight: found one that is not positive"):
        fit_ridge_head(x, y, w)
