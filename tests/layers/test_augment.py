"""What augmentations keep, and what they change."""

import pytest
import torch

from tsrec.layers.augment import augmented


def seeded(number=1):
    return torch.Generator().manual_seed(number)


def noise(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=seeded(seed))


@pytest.mark.parametrize("length", [64, 65, 1, 2])
def test_other_phases_keep_power_and_coherence_of_all_channels(length):
    x = 3 + noise(4, length, 5)
    y = augmented(x, "phase", generator=seeded())
    before, after = torch.fft.rfft(x, dim=1), torch.fft.rfft(y, dim=1)
    cross = before[..., :, None] * before[..., None, :].conj()
    torch.testing.assert_close(after[..., :, None] * after[..., None, :].conj(), cross)
    torch.testing.assert_close(y.mean(1), x.mean(1))
    torch.testing.assert_close(y.mT @ y, x.mT @ x)
    if length > 2:
        assert (y - x).abs().mean() > 0.5
        turns = (after / before).angle()[:, 1 : (length - 1) // 2, 0]
        # Each recording and each frequency by itself, all around the circle.
        assert len(turns.unique()) == turns.numel()
        assert turns.cos().mean().abs() < 0.25


def test_signs_are_those_of_whole_recordings():
    x = noise(200, 8, 3)
    y = augmented(x, "sign", generator=seeded())
    signs = (y / x).round()
    assert torch.equal(y, x * signs)
    assert (signs == signs[:, :1, :1]).all()
    assert 60 < (signs[:, 0, 0] > 0).sum() < 140


def test_nothing_and_unknown_kinds():
    x = noise(2, 8, 3)
    assert augmented(x, None, generator=seeded()) is x
    assert torch.equal(augmented(x, "phase", generator=seeded(3)), augmented(x, "phase", generator=seeded(3)))
    with pytest.raises(ValueError, match="augment='noise' is not known"):
        augmented(x, "noise", generator=seeded())
