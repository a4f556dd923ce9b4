import pytest
import torch

from tsrec.layers.normalise import MODES, fill_forward, normalise

NAN = float("nan")


@pytest.fixture
def windows():
    g = torch.Generator().manual_seed(0)
    return 5 + 2 * torch.randn(6, 20, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("mode", MODES)
def test_level_and_scale_lead_back_to_the_window(windows, mode):
    z, loc, scale = normalise(windows, mode=mode)
    assert loc.shape == scale.shape == (6, 1)
    torch.testing.assert_close(loc + scale * z, windows)


@pytest.mark.parametrize("mode", MODES)
def test_z_does_not_depend_on_the_unit(windows, mode):
    torch.testing.assert_close(normalise(1000 * windows, mode=mode).z, normalise(windows, mode=mode).z)


@pytest.mark.parametrize("mode", ["last", "mean"])
def test_z_does_not_depend_on_the_level(windows, mode):
    torch.testing.assert_close(normalise(windows - 300, mode=mode).z, normalise(windows, mode=mode).z)


def test_what_the_modes_mean(windows):
    std = windows.std(1, correction=0, keepdim=True)
    torch.testing.assert_close(normalise(windows, mode="last")[1:], (windows[:, -1:], std))
    torch.testing.assert_close(normalise(windows, mode="mean")[1:], (windows.mean(1, keepdim=True), std))
    torch.testing.assert_close(normalise(windows, mode="level")[1:], (windows[:, -1:], windows[:, -1:].abs()))


@pytest.mark.parametrize("mode", MODES)
def test_a_mask_of_ones_changes_nothing(windows, mode):
    observed = torch.ones_like(windows, dtype=torch.bool)
    torch.testing.assert_close(normalise(windows, observed, mode=mode), normalise(windows, mode=mode))


@pytest.mark.parametrize("mode", MODES)
def test_left_padding_gives_the_level_and_scale_of_the_rest(windows, mode):
    mask = torch.ones_like(windows, dtype=torch.bool)
    mask[:, :7] = False
    padded = normalise(torch.where(mask, windows, NAN), mask, mode=mode)
    short = normalise(windows[:, 7:], mode=mode)
    torch.testing.assert_close(padded.z[:, 7:], short.z)
    torch.testing.assert_close(padded[1:], short[1:])
    assert (padded.z[:, :7] == 0).all()


def test_gaps_repeat_the_value_before_them():
    context = torch.tensor([[NAN, 1.0, NAN, 3.0, NAN]])
    filled, seen = fill_forward(context, ~context.isnan())
    assert filled.tolist() == [[0.0, 1.0, 1.0, 3.0, 3.0]]
    assert seen.tolist() == [[False, True, True, True, True]]


def test_a_neighbour_with_gaps_does_not_change_a_row_with_padding(windows):
    mask = torch.ones_like(windows, dtype=torch.bool)
    mask[0, :4] = False
    alone = normalise(windows[:1], mask[:1])
    mask[1, 5:9] = False
    assert torch.equal(normalise(windows, mask).z[:1], alone.z)


def test_the_last_value_is_the_last_observed_one():
    context = torch.tensor([[1.0, 4.0, NAN]])
    assert normalise(context, ~context.isnan()).loc.item() == 4.0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_constant_window_is_finite_with_a_positive_scale(mode, value):
    z, loc, scale = normalise(torch.full((1, 5), value), mode=mode)
    assert (z == 0).all()
    assert loc.item() == value
    assert scale.item() > 0


@pytest.mark.parametrize("mode", MODES)
def test_a_window_without_observations_takes_the_fallback(mode):
    context = torch.full((2, 5), NAN)
    z, loc, scale = normalise(context, ~context.isnan(), mode=mode, fallback_loc=3.0, fallback_scale=2.0)
    assert (z == 0).all()
    assert (loc == 3).all()
    assert (scale > 0).all()


def test_the_floor_is_a_share_of_the_fallback_scale():
    assert normalise(torch.tensor([[1.0, 1.001]]), floor=0.1, fallback_scale=5.0).scale.item() == pytest.approx(0.5)


def test_rows_do_not_influence_each_other(windows):
    mask = torch.rand(windows.shape, generator=torch.Generator().manual_seed(1)) > 0.3
    together = normalise(windows, mask)
    alone = [normalise(windows[i : i + 1], mask[i : i + 1]) for i in range(len(windows))]
    assert all(torch.equal(together.z[i], one.z[0]) for i, one in enumerate(alone))
