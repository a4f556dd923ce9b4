"""Temporal convolutions: how far they reach, what they never read, and every choice against a loop over taps."""

import copy
import itertools

import pytest
import torch
from torch.nn import functional

from tsrec.layers.tcn import TCN, receptive_field, stages_for

D = 3
ACTIVATIONS = {None: lambda z: z, "silu": functional.silu, "relu": functional.relu}


def noise(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def plain(network):
    """Weights 1, biases 0: the answer counts the paths from an input."""
    with torch.no_grad():
        network.weight.fill_(1.0)
        network.bias.zero_()
    return network.double()


def reached(network, length=201):
    """Lags at which the middle output depends on an input, by gradient."""
    x = torch.zeros(1, length, D, dtype=torch.float64, requires_grad=True)
    network(x)[0][0, length // 2].sum().backward()
    return (length // 2 - x.grad[0].abs().sum(-1).nonzero().flatten()).tolist()


@pytest.mark.parametrize(("K", "f", "n", "m"), [(2, 2, 4, 1), (4, 4, 3, 1), (3, 2, 3, 2), (5, 4, 2, 1), (3, 5, 2, 2)])
def test_a_causal_network_reaches_just_its_receptive_field(K, f, n, m):
    network = plain(TCN(D, n, kernel_size=K, base=f, convolutions=m, activation=None, residual=False))
    assert reached(network) == list(range(network.receptive_field - 1, -1, -1))
    assert network.receptive_field == receptive_field(n, K, f, m) == 1 + m * (K - 1) * sum(f**i for i in range(n))


@pytest.mark.parametrize(("K", "f", "n", "m"), [(3, 3, 3, 1), (5, 4, 2, 1), (3, 2, 3, 2)])
def test_a_symmetric_network_reaches_as_far_to_both_sides(K, f, n, m):
    options = {"kernel_size": K, "base": f, "convolutions": m, "activation": None, "residual": False}
    half = (receptive_field(n, K, f, m) - 1) // 2
    assert sorted(reached(plain(TCN(D, n, form="symmetric", **options)))) == list(range(-half, half + 1))
    both = plain(TCN(D, n, form="two-sided", **options))
    assert sorted(reached(both)) == list(range(-2 * half, 2 * half + 1))
    assert both.receptive_field == 4 * half + 1


@pytest.mark.parametrize(("K", "f", "n", "m"), [(3, 4, 3, 1), (2, 4, 2, 2), (2, 3, 2, 1)])
def test_lags_that_nothing_reaches_are_refused(K, f, n, m):
    with pytest.raises(ValueError, match=f"kernel_size={K} with base={f} .* nothing reaches"):
        TCN(D, n, kernel_size=K, base=f, convolutions=m)
    # One stage has no gaps, whatever its base.
    TCN(D, 1, kernel_size=K, base=f, convolutions=m)


def test_published_receptive_fields_and_depths():
    for K, f, n, m, wanted in [
        (4, 4, 5, 1, 1024),
        (8, 8, 4, 1, 4096),
        (5, 4, 5, 1, 1365),
        (17, 16, 3, 1, 4369),
        (9, 4, 6, 1, 10921),
        (3, 2, 10, 1, 2047),
        (3, 2, 9, 2, 2045),
    ]:
        assert receptive_field(n, K, f, m) == wanted
        assert stages_for(wanted, K, f, m) == n
        assert stages_for(wanted + 1, K, f, m) == n + 1


@pytest.mark.parametrize("form", ["causal", "symmetric", "two-sided"])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(("activation", "residual", "m"), [("silu", True, 1), ("relu", False, 2), (None, True, 2)])
def test_a_network_equals_its_loop_over_taps(form, dense, activation, residual, m):
    network = TCN(D, 3, kernel_size=3, base=2, convolutions=m, activation=activation, residual=residual,
                  dense=dense, weight_norm=True, form=form).double()  # fmt: skip
    with torch.no_grad():
        for p in network.parameters():
            p += 0.3 * noise(*p.shape, seed=p.ndim)
    x, length = noise(2, 30, D), 30
    direction = network.weight / network.weight.flatten(4).norm(dim=-1)[(..., *[None] * (network.weight.ndim - 4))]
    weight = direction * network.gain[(..., *[None] * (network.weight.ndim - 4))]
    total = torch.zeros_like(x)
    for side in range(2 if form == "two-sided" else 1):
        h = x
        for i in range(3):
            g = h
            for j in range(m):
                z = network.bias[side, i, j].expand_as(g).clone()
                for t, k in itertools.product(range(length), range(3)):
                    lag = {"causal": 2 - k, "symmetric": 1 - k}.get(form, (2 - k) * (1 - 2 * side)) * 2**i
                    if 0 <= t - lag < length:
                        tap = weight[side, i, j, ..., k]
                        z[:, t] += g[:, t - lag] @ tap.T if dense else g[:, t - lag] * tap
                g = ACTIVATIONS[activation](z)
            h = h + g if residual else g
        total = total + h
    torch.testing.assert_close(network(x)[0], total, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dense", [False, True])
def test_no_gradient_flows_from_the_future(dense):
    network = TCN(D, 3, dense=dense).double()
    x = noise(1, 60, D).requires_grad_()
    network(x)[0][0, 40].sum().backward()
    assert x.grad[0, 41:].abs().max() == 0
    assert x.grad[0, :41].abs().amax(1).min() > 0


@pytest.mark.parametrize("form", ["causal", "symmetric", "two-sided"])
@pytest.mark.parametrize("dense", [False, True])
def test_steps_that_were_not_observed_are_zeros_to_every_convolution(form, dense):
    network = TCN(D, 3, kernel_size=3, base=3, convolutions=2, dense=dense, form=form).double()
    with torch.no_grad():
        network.bias += 1.0
    x = noise(2, 40, D)
    mask = (torch.arange(60) < 40).expand(2, -1)
    padded = torch.cat((x, torch.full((2, 20, D), torch.nan, dtype=x.dtype)), 1)
    torch.testing.assert_close(network(padded, mask=mask)[0][:, :40], network(x)[0], rtol=1e-13, atol=1e-13)


def test_networks_that_read_the_future_have_no_state():
    for form in ("symmetric", "two-sided"):
        network = TCN(D, 2, kernel_size=5, form=form)
        assert network.init_state(2) is None
        assert network(torch.zeros(1, 5, D))[1] is None
        with pytest.raises(RuntimeError, match="cannot go step by step"):
            network.step(torch.zeros(1, D), ())
        with pytest.raises(ValueError, match="reads the future"):
            network(torch.zeros(1, 5, D), ())


def test_weight_norm_starts_where_the_network_without_it_starts():
    seed = torch.Generator().manual_seed
    x = noise(1, 30, D)
    one, two = (TCN(D, 3, weight_norm=norm, generator=seed(4)).double() for norm in (False, True))
    torch.testing.assert_close(one(x)[0], two(x)[0])
    with torch.no_grad():
        two.weight *= 5
    torch.testing.assert_close(one(x)[0], two(x)[0])
    assert torch.equal(copy.deepcopy(two)(x)[0], two(x)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": 0}, "stages must be a whole number of at least 1, got 0"),
        ({"kernel_size": 0}, "kernel_size must be a whole number of at least 1, got 0"),
        ({"base": 0}, "base must be a whole number of at least 1, got 0"),
        ({"convolutions": 0}, "convolutions must be a whole number of at least 1, got 0"),
        ({"base": 2.5}, "base must be a whole number of at least 1, got 2.5"),
        ({"stages": 30, "base": 3}, "stages=30 with base=3: dilations grow beyond"),
        ({"activation": "gelu"}, "activation='gelu' is not known"),
        ({"form": "both"}, "form='both' is not known"),
        ({"form": "symmetric"}, "odd kernel_size, got 4"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        TCN(D, **{"stages": 2, **options})


def test_depths_that_cannot_be_are_named_at_once():
    for options in ({"base": 0}, {"base": -1}, {"convolutions": 0}, {"kernel_size": 1}):
        name = next(iter(options))
        with pytest.raises(ValueError, match=f"{name} must be"):
            stages_for(16, **{"kernel_size": 4, "base": 4, **options})
    assert stages_for(100_000, 2, 1) == 99_999


def test_a_filter_of_zeros_stays_one_under_weight_norm():
    network = TCN(D, 1, weight_norm=True)
    with torch.no_grad():
        network.weight[0, 0, 0, 1] = 0.0
    assert network(torch.ones(1, 5, D))[0].isfinite().all()
