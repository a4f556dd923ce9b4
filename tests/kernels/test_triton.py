"""What the Triton kernels share: views that kernels can read, strides of broadcast axes, widths of tiles."""

import pytest
import torch

pytest.importorskip("triton", reason="triton is not installed")

from tsrec.kernels import _triton


def test_real_views_copy_only_what_kernels_cannot_read():
    x = torch.randn(3, 4, 5, dtype=torch.complex64)
    view = _triton.as_real(x[:, ::2])
    assert view.shape == (3, 2, 5, 2)
    assert view.stride() == (40, 20, 2, 1)
    assert view.data_ptr() == x.data_ptr()
    assert torch.equal(torch.view_as_complex(_triton.as_real(x.conj())), x.conj().resolve_conj())
    assert _triton.as_real(torch.zeros(2, 6)[:, ::2]).is_contiguous()


def test_axes_of_size_one_have_stride_zero():
    assert _triton.strides(torch.zeros(1, 7, 5), 2) == (0, 5)
    assert _triton.strides(torch.zeros(3, 1, 5), 2) == (5, 0)


@pytest.mark.parametrize(
    ("width", "itemsize", "block"), [(1, 4, 1), (5, 4, 8), (512, 4, 32), (512, 2, 64), (33, 16, 32)]
)
def test_a_warp_reads_at_least_four_bytes_a_lane(width, itemsize, block):
    assert _triton.channel_tile(width, itemsize) == block
