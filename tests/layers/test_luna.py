"""LUNA's parts against plain forms: convolutions and group norm of torch, positions, queries."""

import pytest
import torch
from torch.nn import functional

from tsrec.layers.luna import ChannelUnification, ElectrodePositions, PatchEmbedding, specialisation

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(number=1):
    return torch.Generator().manual_seed(number)


def noise(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=seeded(seed))


def moved_away(module):
    """Norms that are not the identity, so that their weights count."""
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter += 0.1 * noise(*parameter.shape, seed=number)
    return module


def convolved(embed, x):
    """The temporal branch by torch's own layers: one image (B, 1, patches, P), kernels of height one."""
    B, C, S, P = x.shape
    patches = x.flatten(1, 2)[:, None] if embed.norm == "window" else x.flatten(0, 2)[:, None, None]
    y = patches
    places, stride = 4, P // 4
    settings = [(stride, stride - 1), (1, 1), (1, 1)]
    for layer, norm, (step, edge) in zip(embed.convolutions, embed.norms, settings, strict=True):
        n_in = y.shape[1]
        weight = layer.weight.unflatten(1, (-1, n_in)).transpose(1, 2)[:, :, None]
        y = functional.conv2d(y, weight, layer.bias, stride=(1, step), padding=(0, edge))
        y = functional.gelu(functional.group_norm(y, 4, norm.weight, norm.bias))
    # Place-major, map-minor.
    y = y.permute(0, 2, 3, 1).flatten(2)
    return y.reshape(B, C, S, places * embed.norms[0].num_channels)


@pytest.mark.parametrize("norm", ["patch", "window"])
@pytest.mark.parametrize("patch", [4, 8, 40])
def test_the_temporal_branch_is_three_convolutions(norm, patch):
    embed = moved_away(PatchEmbedding(patch, 32, norm=norm, generator=seeded()).double())
    x = noise(2, 3, 5, patch)
    torch.testing.assert_close(embed._in_time(x), convolved(embed, x), rtol=1e-9, atol=1e-10)


def test_the_frequency_branch_takes_magnitudes_and_phases():
    embed = PatchEmbedding(8, 16, norm="patch", generator=seeded()).double()
    time = torch.arange(8, dtype=torch.float64)
    x = (3 * torch.cos(2 * torch.pi * time / 8 + 0.7))[None, None, None]
    seen = []
    embed.inner.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    embed(x)
    size, phase = seen[0].flatten().chunk(2)
    # Only the first harmonic is there: half of 8 samples times 3; bins of nothing have no phase.
    torch.testing.assert_close(size, torch.tensor([0, 12.0, 0, 0, 0]).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(phase, torch.tensor([0, 0.7, 0, 0, 0], dtype=torch.float64), atol=1e-12, rtol=0)


def test_a_patch_depends_on_others_only_where_norms_are_the_windows():
    x = noise(1, 3, 5, 40)
    other = x.clone()
    other[0, 1, 2] += 1.0
    for norm, alone in (("patch", True), ("window", False)):
        embed = PatchEmbedding(40, 32, norm=norm, generator=seeded()).double()
        a, b = embed(x), embed(other)
        elsewhere = torch.ones(3, 5, dtype=torch.bool)
        elsewhere[1, 2] = False
        assert torch.equal(a[0][elsewhere], b[0][elsewhere]) == alone


def test_positions_are_octaves_of_scaled_coordinates():
    places = ElectrodePositions(32, norm="montage", generator=seeded()).double().eval()
    points = noise(2, 4, 3)
    waves = places._waves(points, torch.zeros(2, 4, 1, dtype=torch.bool))
    low, high = points.amin(1, keepdim=True), points.amax(1, keepdim=True)
    scaled = (points - low) / (high - low + 1e-8)
    octaves = 32 // 6
    for k in range(octaves):
        for axis in range(3):
            at = 6 * k + 2 * axis
            torch.testing.assert_close(waves[..., at], torch.sin(2**k * scaled[..., axis]))
            torch.testing.assert_close(waves[..., at + 1], torch.cos(2**k * scaled[..., axis]))
    assert (waves[..., 6 * octaves :] == 0).all()


def test_in_the_box_of_the_head_an_electrode_has_one_place_in_every_cap():
    head, cap = (ElectrodePositions(32, norm=norm, generator=seeded()).eval() for norm in ("head", "montage"))
    points = torch.nn.functional.normalize(noise(1, 6, 3).float(), dim=-1)
    torch.testing.assert_close(head(points)[:, :3], head(points[:, :3]))
    assert not torch.allclose(cap(points)[:, :3], cap(points[:, :3]))


def test_positions_are_noisy_in_training_only():
    places = ElectrodePositions(32, norm="head", generator=seeded())
    points = torch.rand(1, 4, 3)
    places.generator = seeded()
    assert not torch.equal(places(points), places(points))
    places.eval()
    assert torch.equal(places(points), places(points))


def test_channels_on_no_scalp_have_a_vector_of_their_own():
    places = ElectrodePositions(32, norm="montage", n_unplaced=2, generator=seeded()).eval()
    points = torch.full((1, 3, 3), torch.nan)
    points[0, 0] = 0.3
    names = torch.tensor([[0, 0, 1]])
    y = places(points, names)
    assert torch.equal(y[0, 1:], places.unplaced)
    assert y.isfinite().all()
    # Those on the scalp are measured by themselves alone.
    torch.testing.assert_close(y[:, :1], places(points[:, :1], names[:, :1]))
    none = ElectrodePositions(32, norm="montage", generator=seeded()).eval()
    assert none.unplaced is None
    alike = none(points)
    assert torch.equal(alike[0, 1], alike[0, 2])


def test_queries_begin_orthogonal_and_attention_adds_up_to_one():
    unify = ChannelUnification(16, 4, 2, generator=seeded()).double().eval()
    torch.testing.assert_close(unify.queries @ unify.queries.T, torch.eye(4).double(), atol=1e-6, rtol=0)
    many = ChannelUnification(16, 20, 2, generator=seeded())
    torch.testing.assert_close(many.queries.T @ many.queries, torch.eye(16), atol=1e-5, rtol=0)
    z, attention = unify(noise(3, 7, 16))
    assert z.shape == (3, 4, 16)
    torch.testing.assert_close(attention.sum(-1), torch.ones(3, 4).double())
    with torch.no_grad():
        unify.temperature.fill_(1e6)
    torch.testing.assert_close(unify(noise(3, 7, 16))[1], torch.full((3, 4, 7), 1 / 7).double(), atol=1e-5, rtol=0)


def test_specialisation_is_nothing_for_queries_that_share_no_channel():
    apart = torch.eye(5)[:3].expand(2, 4, 3, 5)
    assert specialisation(apart) == 0
    Q, C = 6, 22
    uniform = torch.full((2, 4, Q, C), 1 / C, dtype=torch.float64)
    assert specialisation(uniform).item() == pytest.approx((Q - 1) / Q / C**2, rel=1e-12)


def test_what_cannot_be_built_is_told():
    with pytest.raises(ValueError, match="patch=30: give a multiple of 4"):
        PatchEmbedding(30, 32, norm="patch", generator=seeded())
    with pytest.raises(ValueError, match="width=24: give a multiple of 16"):
        PatchEmbedding(40, 24, norm="patch", generator=seeded())
    with pytest.raises(ValueError, match="norm='batch' is not known"):
        PatchEmbedding(40, 32, norm="batch", generator=seeded())
    with pytest.raises(ValueError, match="position_norm='box' is not known"):
        ElectrodePositions(32, norm="box", generator=seeded())
