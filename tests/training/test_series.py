"""Batches of series of unequal lengths."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_nothing_is_cut_without_a_generator():
    batch = make(crop=2).gather(torch.tensor([1, 6]))
    assert batch.context.shape == (2, 11, 2)
    assert batch.mask.sum(1).tolist() == [10, 11]


def test_pieces_start_everywhere_equally_often():
    starts = torch.zeros(7)
    batches, g = make(crop=4), seeded()
    chosen = torch.ones(7000, dtype=torch.int64)
    for value in batches.gather(chosen, generator=g).context[:, 0, 0]:
        starts[int(value) - int(OFFSETS[1])] += 1
    assert (starts / 7000 - 1 / 7).abs().max() < 0.02


def test_pieces_and_orders_follow_the_generator():
    def contexts(seed):
        return [batch.context.tolist() for batch in make(crop=3).epoch(seeded(seed))]

    before = torch.random.get_rng_state()
    assert contexts(0) == contexts(0)
    assert contexts(0) != contexts(1)
    g, batches = seeded(), make(crop=3)
    assert [b.context.tolist() for b in batches.epoch(g)] != [b.context.tolist() for b in batches.epoch(g)]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_missing_values_stay_missing_and_padding_is_zero():
    values = VALUES.clone()
    values[4, 0] = torch.nan
    batch = SeriesBatches(values, OFFSETS, batch_size=2).gather(torch.tensor([0, 1]), 12)
    assert batch.context.isnan().nonzero().tolist() == [[1, 1, 0]]
    assert (batch.context[~batch.mask] == 0).all()
    # A batch is a copy: what is done to it does not reach the series.
    batch.context.zero_()
    assert torch.equal(make().values, VALUES)
    assert values[3, 0] == 3


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=40),
    st.integers(1, 9),
    st.one_of(st.none(), st.integers(1, 12)),
    st.integers(0, 99),
)
def test_whatever_the_lengths_an_epoch_holds_every_series_once(lengths, size, crop, seed):
    sizes = torch.tensor(lengths)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    batches = SeriesBatches(torch.arange(1.0, sum(lengths) + 1)[:, None], offsets, batch_size=size, crop=crop)
    found = list(batches.epoch(seeded(seed)))
    assert len(found) == len(batches)
    assert sorted(number for batch in found for number in batch.series.tolist()) == list(range(len(lengths)))
    for batch in found:
        assert len(batch.series) <= size
        wanted = sizes[batch.series].clamp_max(crop or 99)
        mask = torch.ones(batch.context.shape[:2], dtype=torch.bool) if batch.mask is None else batch.mask
        assert torch.equal(mask.sum(1), wanted)
        assert batch.context.shape[1] == wanted.max()
        for row, number, length in zip(batch.context[..., 0], batch.series, wanted, strict=True):
            assert torch.equal(row[:length], row[0] + torch.arange(length))
            assert offsets[number] + 1 <= row[0]
            assert row[length - 1] <= offsets[number + 1]


def test_batches_of_like_length_come_in_any_order():
    """Sorted within so many batches, then shuffled: lengths do not rise through an epoch."""
    sizes = torch.arange(1, 65)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    batches = SeriesBatches(torch.zeros(int(sizes.sum()), 1), offsets, batch_size=8)
    found = [(batch.series + 1).sort().values for batch in batches.epoch(seeded())]
    assert all(torch.equal(batch, batch[0] + torch.arange(8)) for batch in found)
    firsts = [int(batch[0]) for batch in found]
    assert sorted(firsts) == list(range(1, 65, 8))
    assert firsts != sorted(firsts)


def test_series_meet_others_in_each_epoch():
    batches, g = SeriesBatches(torch.zeros(60, 1), torch.arange(0, 61, 3), batch_size=4), seeded()
    one, two = ({frozenset(batch.series.tolist()) for batch in batches.epoch(g)} for _ in range(2))
    assert len(one) == len(two) == 5
    assert not one & two
