"""What is told beside windows reaches their tokens; the map of past covariates in closed form."""

import pytest
import torch

from tsrec.layers.beside import Beside, CovariateNet, Sizes, Told
from tsrec.layers.closed_form import fit_closed_form
from tsrec.layers.forecast import DirectForecaster
from tsrec.layers.mlp import PointwiseMLP
from tsrec.layers.past_map import fit_past_map
from tsrec.layers.patch import PatchBranch
from tsrec.layers.segments import time_segments
from tsrec.training import WindowBatches, make_generator

SIZES = Sizes(static=3, past=2, series=5)
L, H = 24, 4


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=make_generator(seed))


def filled(module, seed=1):
    """The module with weights that are not zero."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(noise(*parameter.shape, seed=seed))
    return module


def told(batch=4):
    return Told(noise(batch, 3), noise(batch, L, 2), torch.tensor([0, 4, -1, 2]))


def test_nothing_is_added_before_something_is_learned():
    assert not Beside(8, SIZES, patch=6)(told()).any()


def test_tokens_are_the_sum_of_three_embeddings():
    beside, given = filled(Beside(8, SIZES, patch=6)), told()
    found = beside(given)
    for b in range(4):
        for t in range(4):
            patch = given.past[b, 6 * t : 6 * t + 6].flatten()
            name = beside.of_name(beside.names[given.series[b]]) if given.series[b] >= 0 else 0.0
            expected = beside.past.weight @ patch + beside.static.weight @ given.static[b] + name
            torch.testing.assert_close(found[b, t], expected)


def test_the_oldest_steps_are_not_seen_where_patches_do_not_fit():
    beside, given = filled(Beside(8, Sizes(past=2), patch=5)), told()
    assert beside(given).shape == (4, 4, 8)
    torch.testing.assert_close(beside(given), beside(given._replace(past=given.past[:, 4:])))


def test_what_is_not_told_adds_nothing():
    beside = filled(Beside(8, SIZES, patch=6))
    assert beside(Told()) == 0.0
    torch.testing.assert_close(beside(Told(static=torch.zeros(4, 3))), torch.zeros(4, 1, 8))


def test_covariates_act_by_what_is_known_of_the_series():
    net, future = filled(CovariateNet(2, SIZES, generator=make_generator(0))), noise(4, H, 2)
    alone, beside = net(future, Told()), net(future, told())
    assert alone.shape == (4, H)
    assert not torch.allclose(alone, beside)
    assert torch.equal(net(future, told()._replace(past=None)), beside)


def test_a_branch_hears_what_is_told():
    mixer = PointwiseMLP(8, generator=make_generator(0))
    made = PatchBranch(mixer, context=L, d_model=8, patch=6, beside=SIZES, generator=make_generator(0))
    z, given = noise(4, L), told()
    assert torch.equal(made(z, None, given)[0], made(z)[0])
    filled(made.beside)
    for field in Told._fields:
        other = getattr(given, field).flip(0)
        assert not torch.allclose(made(z, None, given)[0], made(z, None, given._replace(**{field: other}))[0]), field


def cut(values, past, variable=None):
    origins = torch.arange(L, len(values) - H + 1)
    windows = WindowBatches(values, origins, context=L, horizon=H, shuffle=False, past=past, variable=variable)
    segments = time_segments(origins, H)

    def chunks(_=None):
        return windows.chunks(segments, size=100)

    return windows, chunks


def test_windows_carry_the_covariates_of_their_context():
    past = torch.arange(100.0)[:, None]
    batch = next(cut(torch.arange(100.0), past)[0].epoch(make_generator(0)))
    assert torch.equal(batch.past[..., 0], batch.context)


def test_covariates_of_rows_before_a_series_count_as_nothing():
    values, past = torch.arange(20.0), torch.ones(20, 1)
    windows = WindowBatches(
        values, torch.tensor([12]), context=5, horizon=2, starts=torch.tensor([10]), past=past, shuffle=False
    )
    assert next(windows.epoch(make_generator(0))).past[0, :, 0].tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_what_leads_the_series_is_found():
    x = noise(800)
    values = torch.cat([torch.zeros(2), 3 * x[:-2]]) + 0.1 * noise(800, seed=2)
    _, chunks = cut(values, x[:, None])
    net = DirectForecaster(None, context=L, horizon=H, beside=Sizes(past=1)).eval()
    solution = fit_closed_form(net, chunks)
    before = net.offsets.clone()
    folds = fit_past_map(net, chunks, solution)
    assert len(folds) == len(solution.fold_weights)
    # Two steps ahead y is 3 x of now.
    assert float(net.past_map[-1, 1]) == pytest.approx(3.0, rel=0.1)
    assert float(net.past_map[-2, 0]) == pytest.approx(3.0, rel=0.1)
    assert float(net.past_map[:, 2:].abs().max()) < 0.4
    assert (net.offsets[:2].abs().mean() < 0.5 * before[:2].abs().mean()).all()


def test_noise_beside_a_series_has_no_say():
    values, x = noise(1500).cumsum(0), noise(1500, seed=5)
    _, chunks = cut(values, x[:, None])
    net = DirectForecaster(None, context=L, horizon=H, beside=Sizes(past=1)).eval()
    fit_past_map(net, chunks, fit_closed_form(net, chunks))
    assert not net.past_map.any()


def test_an_effect_is_in_data_units_whatever_the_scale_of_the_window():
    net = DirectForecaster(None, context=L, horizon=H, beside=Sizes(past=1)).eval()
    net.past_map = noise(L, H)
    x, past = noise(3, L), noise(3, L, 1)
    for scale in (1.0, 100.0):
        effect = net(scale * x, past=past)[0] - net(scale * x)[0]
        torch.testing.assert_close(effect, past[..., 0] @ net.past_map, rtol=1e-4, atol=1e-4)
    parts = net.components(x, past=past)
    torch.testing.assert_close(sum(parts.values()), net(x, past=past)[0])
    assert list(parts) == ["linear", "past covariates"]
