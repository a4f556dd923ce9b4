import torch

from tsrec.training import Batch, WindowBatches, make_generator

NAN = float("nan")


def test_every_window_comes_once_per_epoch_in_a_new_order():
    windows = WindowBatches(torch.arange(40.0), torch.arange(4, 37), context=4, horizon=3, batch_size=10)
    generator = make_generator(0)
    orders = [torch.cat([batch.target[:, 0] for batch in windows.epoch(generator)]) for _ in range(2)]
    assert len(windows) == 4
    assert torch.equal(orders[0].sort().values, torch.arange(4.0, 37.0))
    assert not torch.equal(orders[0], orders[1])


def test_a_context_that_reaches_before_its_series_is_masked():
    values = torch.arange(10.0)
    windows = WindowBatches(
        values, torch.tensor([1, 6]), context=3, horizon=2, starts=torch.tensor([0, 5]), series=torch.tensor([0, 1])
    )
    batch = windows.gather(torch.tensor([0, 1]))
    assert batch.mask.tolist() == [[False, False, True], [False, False, True]]
    assert batch.context[:, 2].tolist() == [0.0, 5.0]
    assert batch.target.tolist() == [[1.0, 2.0], [6.0, 7.0]]
    assert batch.series.tolist() == [0, 1]


def test_missing_values_are_masked_in_the_context_and_left_in_the_target():
    values = torch.tensor([0.0, NAN, 2.0, NAN, 4.0])
    batch = WindowBatches(values, torch.tensor([3]), context=3, horizon=2).gather(torch.tensor([0]))
    assert batch.mask.tolist() == [[True, False, True]]
    assert batch.target.isnan().tolist() == [[True, False]]


def test_covariates_and_weights_follow_their_windows():
    future = torch.arange(20.0).reshape(10, 2)
    windows = WindowBatches(
        torch.arange(10.0),
        torch.tensor([4, 6]),
        context=2,
        horizon=2,
        future=future,
        weight=torch.tensor([1.0, 3.0]),
    )
    batch = windows.gather(torch.tensor([1]))
    assert batch.future[0].tolist() == [[12.0, 13.0], [14.0, 15.0]]
    assert batch.weight.tolist() == [3.0]


def test_chunks_never_mix_segments():
    windows = WindowBatches(torch.arange(20.0), torch.arange(2, 18), context=2, horizon=1)
    segments = torch.arange(16) // 5
    chunks = [(segment, batch.target[:, 0].tolist()) for segment, batch in windows.chunks(segments, size=3)]
    assert [target for _, targets in chunks for target in targets] == list(range(2, 18))
    assert all({int(segments[int(t) - 2]) for t in targets} == {segment} for segment, targets in chunks)


def test_a_batch_moves_all_its_tensors():
    batch = Batch(torch.ones(2, 3), target=torch.ones(2)).to("meta")
    assert batch.context.device.type == batch.target.device.type == "meta"
    assert batch.mask is None


def test_a_subset_and_another_batch_size_give_the_same_windows():
    windows = WindowBatches(torch.arange(20.0), torch.arange(2, 18), context=2, horizon=1, weight=torch.arange(16.0))
    some = windows.subset(torch.tensor([1, 5])).resized(1)
    assert (len(some), len(windows)) == (2, 1)
    batch = some.gather(torch.tensor([1]))
    assert (batch.target.item(), batch.weight.item()) == (7.0, 5.0)


def test_an_epoch_may_be_cut_short_and_draws_other_windows_then():
    windows = WindowBatches(torch.arange(120.0), torch.arange(2, 118), context=2, horizon=1).resized(10, max_batches=3)
    generator = make_generator(0)
    first, second = (torch.cat([b.target[:, 0] for b in windows.epoch(generator)]) for _ in range(2))
    assert len(windows) == 3
    assert len(first) == 30
    assert len(torch.cat([first, second]).unique()) > 35


def test_rows_that_share_a_date_share_its_features():
    dates = torch.tensor([[10.0], [11.0], [12.0]])
    clock = torch.tensor([0, 1, 2, 0, 1, 2], dtype=torch.int32)
    options = {"context": 2, "horizon": 1, "shuffle": False}
    origins = torch.tensor([2, 5, 8, 11])
    shared = WindowBatches(torch.arange(12.0), origins, future=dates, clock=clock, **options)
    whole = WindowBatches(torch.arange(12.0), origins, future=dates[clock.long()], **options)
    generator = torch.Generator()
    assert torch.equal(next(shared.epoch(generator)).future, next(whole.epoch(generator)).future)
