"""Batches of series of unequal lengths."""

import pytest
import torch

from tsrec.training import SeriesBatches

LENGTHS = torch.tensor([3, 10, 4, 9, 2, 8, 11, 5])
OFFSETS = torch.cat([torch.zeros(1, dtype=torch.int64), LENGTHS.cumsum(0)])
VALUES = torch.arange(52.0)[:, None] * torch.tensor([1.0, -1.0])


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def make(**kwargs):
    return SeriesBatches(VALUES, OFFSETS, **{"batch_size": 3, **kwargs})


def test_every_series_is_there_once_whole_and_padded():
    target, weight = torch.arange(8) * 10, torch.arange(8.0)
    batches = make(target=target, weight=weight)
    seen = []
    for batch in batches.epoch(seeded()):
        seen += batch.series.tolist()
        assert torch.equal(batch.target, batch.series * 10)
        assert torch.equal(batch.weight, batch.series.float())
        for row, number in enumerate(batch.series):
            length = LENGTHS[number]
            start = OFFSETS[number]
            assert torch.equal(batch.context[row, :length], VALUES[start : start + length])
            assert (batch.context[row, length:] == 0).all()
            if batch.mask is not None:
                assert batch.mask[row].tolist() == [t < length for t in range(batch.context.shape[1])]
    assert sorted(seen) == list(range(8))
    assert len(batches) == 3


def test_orders_follow_the_generator():
    def order(seed):
        return [batch.series.tolist() for batch in make().epoch(seeded(seed))]

    assert order(0) == order(0)
    assert order(0) != order(1)


def test_series_of_like_length_share_a_batch():
    padded = sum(batch.context.shape[0] * batch.context.shape[1] for batch in make().epoch(seeded()))
    assert padded < LENGTHS.sum() + 12


def test_equal_lengths_need_no_mask_and_a_length_can_be_given():
    assert make().gather(torch.tensor([1, 1])).mask is None
    batch = make().gather(torch.tensor([0, 2]), 6)
    assert batch.context.shape == (2, 6, 2)
    assert batch.mask.sum(1).tolist() == [3, 4]


@pytest.mark.parametrize("crop", [1, 4])
def test_crops_lie_inside_their_series_and_move(crop):
    batches, seen = make(crop=crop, batch_size=8), set()
    g = seeded()
    for _ in range(60):
        for batch in batches.epoch(g):
            for row, number in enumerate(batch.series.tolist()):
                length = min(int(LENGTHS[number]), crop)
                rows = batch.context[row, :length, 0]
                assert OFFSETS[number] <= rows[0]
                assert rows[-1] < OFFSETS[number + 1]
                assert torch.equal(rows.diff(), torch.ones(length - 1))
                if number == 1:
                    seen.add(int(rows[0] - OFFSETS[1]))
    assert seen == set(range(10 - crop + 1))


def test_a_subset_keeps_what_belongs_to_its_series():
    part = make(target=torch.arange(8)).subset(torch.tensor([5, 2]))
    (batch,) = part.epoch(seeded())
    assert sorted(batch.target.tolist()) == [2, 5]
    assert set(batch.context[:, 0, 0].tolist()) == {float(OFFSETS[5]), float(OFFSETS[2])}
