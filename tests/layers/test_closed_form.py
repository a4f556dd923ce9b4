import pytest
import torch

from tsrec.layers.closed_form import fit_closed_form, fit_shrink, thinned_chunks
from tsrec.layers.forecast import DirectForecaster
from tsrec.layers.lssl import LSSLStack
from tsrec.layers.patch import PatchBranch
from tsrec.layers.seasonal import seasonal_map
from tsrec.layers.segments import time_segments
from tsrec.layers.spread import fit_spread
from tsrec.training import WindowBatches, make_generator

L, H = 24, 6


def noisy_wave(n=600, noise=0.3, seed=0):
    g = make_generator(seed)
    return (torch.arange(n) * 2 * torch.pi / 12).sin() + noise * torch.randn(n, generator=g)


def cut(values, **kwargs):
    times = torch.arange(L, len(values) - H + 1)
    windows = WindowBatches(values, times, context=L, horizon=H, shuffle=False, **kwargs)
    segments = time_segments(times, H)
    return windows, lambda: windows.chunks(segments, size=100)


def linear(**kwargs):
    return DirectForecaster(None, context=L, horizon=H, **kwargs).eval()


def square_error(net, windows):
    errors = [(net(b.context, b.mask)[0] - b.target).square().nanmean() for b in windows.epoch(make_generator(0))]
    return float(torch.stack(errors).mean())


def test_a_wave_is_forecast_down_to_its_noise():
    net = linear()
    solution = fit_closed_form(net, cut(noisy_wave())[1])
    assert solution.errors.shape[0] == 2
    assert square_error(net, cut(noisy_wave(seed=1))[0]) < 1.3 * 0.3**2


def test_quantiles_cover_what_they_promise_on_new_data():
    net = linear(levels=(0.1, 0.5, 0.9))
    fit_closed_form(net, cut(noisy_wave(3000))[1])
    windows, _ = cut(noisy_wave(3000, seed=1), batch_size=4096)
    batch = next(windows.epoch(make_generator(0)))
    covered = (batch.target[..., None] <= net(batch.context)[1]).float().mean((0, 1))
    torch.testing.assert_close(covered, torch.tensor([0.1, 0.5, 0.9]), rtol=0, atol=0.03)


def test_missing_values_cost_little():
    values = noisy_wave(1500)
    values[torch.rand(1500, generator=make_generator(4)) < 0.1] = float("nan")
    net, whole = linear(), linear()
    fit_closed_form(net, cut(values)[1])
    fit_closed_form(whole, cut(noisy_wave(1500))[1])
    fresh, _ = cut(noisy_wave(seed=1))
    assert square_error(net, fresh) < 1.15 * square_error(whole, fresh)


@pytest.mark.parametrize("n", [L + H - 1, L + H, L + H + 2, L + 3 * H])
def test_a_series_of_hardly_a_window_falls_back_to_the_prior_or_better(n):
    net = linear()
    prior = seasonal_map(L, H, 12)
    fit_closed_form(net, cut(noisy_wave(n))[1], prior=prior)
    point, quantiles = net(noisy_wave(200, seed=2)[None, -L:])
    assert point.isfinite().all()
    assert quantiles.isfinite().all()
    assert square_error(net, cut(noisy_wave(seed=1))[0]) < 1.7 * 0.3**2


@pytest.mark.parametrize("value", [float("nan"), 0.0, 5.0])
def test_a_constant_or_empty_series_gives_finite_buffers(value):
    net = linear()
    fit_closed_form(net, cut(torch.full((200,), value))[1], prior=seasonal_map(L, H, 12))
    assert all(buffer.isfinite().all() for buffer in net.buffers())


def test_a_map_that_is_trained_is_refused():
    with pytest.raises(ValueError, match="linear='ridge'"):
        fit_closed_form(linear(linear="learned"), cut(noisy_wave())[1])


class _Echo(torch.nn.Module):
    def forward(self, x, state=None, mask=None, *, return_state=True):
        return x, state


def with_branch(factor, **kwargs):
    """A network without linear map whose branch says ``factor`` times what it should."""
    branch = PatchBranch(_Echo(), context=L, d_model=L, patch=L, generator=make_generator(0))
    net = DirectForecaster(branch, context=L, horizon=H, **kwargs).eval()
    with torch.no_grad():
        branch.embedding.weight.copy_(torch.eye(L))
        branch.embedding.bias.zero_()
        net.head.weight.copy_(factor * seasonal_map(L, H, 12).T)
    return net


@pytest.mark.parametrize(("factor", "share"), [(1.0, 1.0), (0.5, 1.0), (2.0, 0.5), (-1.0, 0.0), (0.0, 0.0)])
def test_the_share_of_the_branch_is_what_helps_on_unseen_windows(factor, share):
    net = with_branch(factor)
    found = fit_shrink(net, cut(noisy_wave(noise=0.0))[0].epoch(make_generator(0)))
    assert found == pytest.approx(share, abs=1e-3)
    assert net.shrink.item() == pytest.approx(found)


@torch.no_grad()
def test_each_kind_of_windows_has_a_share_of_its_own_and_what_was_not_seen_that_of_all():
    net = with_branch(2.0, maps=3, apart=True, levels=(0.1, 0.9))
    batch = next(cut(noisy_wave(noise=0.02), batch_size=4096)[0].epoch(make_generator(0)))
    last = batch.context[:, -1:]
    kinds = [torch.full((len(last),), number) for number in (0, 1)]
    # In the second kind the branch is right as it is.
    twice = batch._replace(target=last + 2 * (batch.target - last), variable=kinds[1])
    seen = [batch._replace(variable=kinds[0]), twice]
    before = net.offsets.clone()
    assert fit_shrink(net, seen) == pytest.approx(0.75, abs=0.02)
    torch.testing.assert_close(net.shrink, torch.tensor([0.5, 1.0, 0.75]), atol=0.051, rtol=0)
    assert net.shrink[0] < net.shrink[2] < net.shrink[1]

    def error(shares, one):
        return float(_away(net, one, shares).square().sum())

    # Quantiles of each kind come as much closer as its errors do; those of what was not seen stay.
    gains = [error(net.shrink, one) / error(torch.zeros(3), one) for one in seen]
    shrunk = torch.tensor([*gains, 1.0])[:, None, None].sqrt()
    torch.testing.assert_close(net.offsets, before * shrunk, rtol=1e-4, atol=1e-6)


def _away(net, batch, shares):
    """Errors of a network with these shares, in units of the windows."""
    parts = net.parts(batch.context, batch.mask, None, batch.variable)
    point = parts.window.loc + parts.window.scale * shares[batch.variable][:, None] * parts.branch
    return (batch.target - point) / parts.window.scale


def test_the_mixer_is_left_alone():
    g = make_generator(0)
    branch = PatchBranch(LSSLStack(4, 1, d_state=4, generator=g), context=L, d_model=4, patch=6, generator=g)
    net = DirectForecaster(branch, context=L, horizon=H)
    before = {name: p.clone() for name, p in net.named_parameters()}
    fit_closed_form(net.eval(), cut(noisy_wave())[1])
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())


def test_thinned_windows_count_for_those_left_out(monkeypatch):
    monkeypatch.setattr("tsrec.layers.closed_form._MAX_PRODUCTS", 100 * L * (L + H))
    windows, _ = cut(noisy_wave(1000))
    n = len(windows.origins)
    kept = [batch for _, batch in thinned_chunks(windows, torch.zeros(n, dtype=torch.int64))()]
    assert sum(len(batch.context) for batch in kept) <= 100
    assert sum(float(batch.weight.sum()) for batch in kept) == pytest.approx(n, rel=0.05)


def test_windows_that_saw_little_have_a_factor_of_their_own_and_no_say_in_the_offsets():
    alone, both = linear(levels=(0.1, 0.9)), linear(levels=(0.1, 0.9))
    windows, _ = cut(noisy_wave(600), batch_size=4096)
    batch = next(windows.epoch(make_generator(0)))
    whole = batch._replace(mask=torch.ones_like(batch.context, dtype=torch.bool))
    little = batch._replace(
        mask=torch.arange(L).expand_as(batch.context) >= L - 3,
        target=batch.target + 5 * torch.randn(batch.target.shape, generator=make_generator(1)),
    )
    fit_spread(alone, [whole])
    fit_spread(both, [whole, little])
    torch.testing.assert_close(both.offsets, alone.offsets)
    assert alone.unsure == 1
    assert 1.5 < both.unsure <= 4

    def width(net, part):
        quantiles = net(part.context, part.mask)[1]
        return quantiles[..., 1] - quantiles[..., 0]

    torch.testing.assert_close(width(both, whole), width(alone, whole))
    torch.testing.assert_close(width(both, little), both.unsure * width(alone, little))


def test_where_all_windows_saw_little_they_tell_the_spread():
    net = linear(levels=(0.1, 0.9))
    windows, _ = cut(noisy_wave(600), batch_size=4096)
    batch = next(windows.epoch(make_generator(0)))
    before = net.offsets.clone()
    fit_spread(net, [batch._replace(mask=torch.arange(L).expand_as(batch.context) >= L - 3)])
    assert net.unsure == 1
    assert not torch.equal(net.offsets, before)
