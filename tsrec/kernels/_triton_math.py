"""Functions of one number for Triton kernels, without overflow and with small relative errors everywhere."""

import triton
import triton.language as tl


@triton.jit
def sigmoid(x):  # type: ignore[no-untyped-def]
    """Return 1 / (1 + exp(-x)) from exp(-|x|), which cannot overflow."""
    e = tl.exp(-tl.abs(x))
    return tl.where(x < 0, e, 1.0) / (1.0 + e)


@triton.jit
def softplus(x):  # type: ignore[no-untyped-def]
    """Return log(1 + exp(x)) = max(x, 0) + 2 artanh(s), s = e / (2 + e), e = exp(-|x|).

    The series of artanh keeps the relative precision of small results, which a fast logarithm near 1 has not.
    """
    TERMS: tl.constexpr = 17 if x.dtype.primitive_bitwidth == 64 else 8
    e = tl.exp(-tl.abs(x))
    s = e / (2.0 + e)
    series = tl.zeros_like(s)
    for k in tl.static_range(TERMS):
        series = series * (s * s) + 1.0 / (2 * (TERMS - k) - 1)
    return tl.maximum(x, 0.0) + 2.0 * s * series
