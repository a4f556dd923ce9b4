"""The scan on a GPU, emulated: time cut into chunks, tiles of channels, and what overflow does."""

import pytest
import torch

from tsrec.kernels import linear_scan, linear_scan_reference

pytest.importorskip("triton", reason="triton is not installed")

from tsrec.kernels import _triton_scan

# Emulated step by step, which takes long.
pytestmark = pytest.mark.slow
L, CHUNK = 23, 6


@pytest.fixture(autouse=True)
def emulated(monkeypatch):
    monkeypatch.setenv("TSREC_BACKEND", "triton")


@pytest.fixture
def chunks(monkeypatch):
    monkeypatch.setattr(_triton_scan, "chunk_length", lambda programs, length, processors: min(CHUNK, length))


def make(shape, width=3, batch=2, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    sizes = (shape, (batch, L, width), (batch, width), (batch, L, width), (batch, width))
    a, b, h0, *cotangents = (torch.randn(size, dtype=dtype, generator=g) for size in sizes)
    return [x.requires_grad_() for x in (a * 0.7, b, h0)], cotangents


def assert_equal(found, wanted, tolerance=1e-12):
    for x, y in zip(found, wanted, strict=True):
        assert (x - y).abs().max() <= tolerance * (1 + y.abs().max())


def assert_equals_the_reference(inputs, cotangents, reverse=False):
    found, wanted = linear_scan(*inputs, reverse=reverse), linear_scan_reference(*inputs, reverse=reverse)
    assert_equal(found, wanted)
    assert_equal(*(torch.autograd.grad(outputs, inputs, cotangents) for outputs in (found, wanted)))


@pytest.mark.parametrize("shape", [(3,), (2, 1, 3), (1, L, 3), (2, L, 3)], ids=str)
@pytest.mark.parametrize(("dtype", "reverse"), [(torch.float64, True), (torch.complex128, False)], ids=str)
def test_chunks_of_time_equal_the_reference(chunks, shape, dtype, reverse):
    assert_equals_the_reference(*make(shape, dtype=dtype), reverse)


def test_channels_beyond_one_tile_equal_the_reference():
    assert_equals_the_reference(*make((40,), width=40, batch=1))


def test_a_gradient_nobody_asks_for_is_not_computed():
    (a, b, h0), cotangents = make((2, L, 3))
    found = torch.autograd.grad(linear_scan(a.detach(), b, h0), (b, h0), cotangents)
    assert_equal(found, torch.autograd.grad(linear_scan_reference(a, b, h0), (b, h0), cotangents))


def test_two_runs_give_the_same_bits(chunks):
    inputs, cotangents = make((3,), batch=1)
    first, second = (torch.autograd.grad(linear_scan(*inputs), inputs, cotangents) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


def test_nan_stays_in_its_batch_row(chunks):
    (a, b, h0), _ = make((2, L, 3))
    poisoned = b.detach().clone()
    poisoned[0, 8] = float("nan")
    h, _ = linear_scan(a, poisoned, h0)
    assert h[0, :8].isfinite().all()
    assert h[0, 8:].isnan().all()
    assert torch.equal(h[1], linear_scan(a, b, h0)[0][1])


@pytest.mark.parametrize("seam", [CHUNK, CHUNK + 2, 2 * CHUNK - 1])
def test_zero_decay_at_a_seam_separates_packed_sequences(chunks, seam):
    (a, b, _), _ = make((2, L, 3))
    packed = a.detach().clone()
    packed[:, seam] = 0
    h, _ = linear_scan(packed, b)
    assert_equal([h[:, seam:]], [linear_scan_reference(packed[:, seam:], b[:, seam:])[0]])


def test_growth_over_chunks_is_exact(chunks):
    h, last = linear_scan(torch.tensor([2.0]), torch.ones(1, 20, 1))
    assert h.flatten().tolist() == [2.0**t - 1 for t in range(1, 21)]
    assert last.item() == 2**20 - 1


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=str)
def test_a_product_that_overflows_spares_states_of_zero_and_resets(chunks, dtype):
    """1e30 twice is inf in single precision: a state of 0 must stay 0, and a decay of 0 must still reset."""
    a, b = torch.full((2, L, 1), 0.5, dtype=dtype), torch.ones(2, L, 1, dtype=dtype)
    a[:, :2], b[:, : CHUNK + 1], a[1, 2] = 1e30, 0, 0
    h0 = torch.tensor([[0], [1e-30]], dtype=dtype)
    found, wanted = linear_scan(a, b, h0), linear_scan_reference(a, b, h0)
    assert_equal([found[0][:, 2:], found[1]], [wanted[0][:, 2:], wanted[1]], 1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_offsets_beyond_32_bits(tmp_path, axis):
    """A file with holes stands for large memory, four rows or steps in it; a wrong offset would end the process."""
    apart = 2**30
    memory = torch.from_file(str(tmp_path / "holes"), shared=True, size=3 * apart + 3, dtype=torch.bfloat16)
    shape, strides = ((4, 1, 3), (apart, 3, 1)) if axis == 0 else ((1, 4, 3), (3, apart, 1))
    distant = memory.as_strided(shape, strides)
    near = torch.randn(shape, generator=torch.Generator().manual_seed(0)).bfloat16()
    distant.copy_(near)
    results = []
    for x in (distant, near):
        leaves = [x.detach().requires_grad_() for _ in range(2)]
        outputs = linear_scan(*leaves)
        results.append((*outputs, *torch.autograd.grad(outputs[0], leaves, x)))
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))


def test_no_batch_rows_are_legal():
    h, last = linear_scan(torch.rand(3), torch.zeros(0, 5, 3))
    assert h.shape == (0, 5, 3)
    assert last.shape == (0, 3)


def test_time_is_cut_only_where_the_card_would_idle():
    rule = _triton_scan.chunk_length
    assert rule(32 * 16, 336, 132) == 336
    assert rule(8, 2047, 132) == 2047
    assert rule(264, 65536, 132) == 65536
    assert rule(263, 65536, 132) == 21846
    assert rule(8, 16384, 132) == 249
    assert rule(8, 65536, 132) == 993
    assert rule(1, 4096, 132) == 128


@pytest.mark.parametrize("programs", [0, 1, 7, 100, 200])
@pytest.mark.parametrize("length", [2048, 2049, 5000, 65537])
def test_every_chunk_has_steps(programs, length):
    size = _triton_scan.chunk_length(programs, length, 108)
    chunks = -(-length // size)
    assert (chunks - 1) * size < length <= chunks * size
    assert size >= 128
