"""The primitives made of few plain operators: the same numbers as their references."""

import itertools

import pytest
import torch

from tsrec import kernels
from tsrec.kernels.plain import _cummax, plain_operators

OPS = torch.ops.tsrec
PLAIN = plain_operators()


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("length", "reverse"), list(itertools.product((1, 2, 7, 64), (False, True))))
def test_scans_by_doubling_are_scans(length, reverse):
    b, h0 = draw(3, length, 5), draw(3, 5, seed=1)
    for a in (draw(3, length, 5, seed=2).sigmoid(), draw(1, 1, 5, seed=2).sigmoid(), draw(1, length, 5, seed=2)):
        found = PLAIN[OPS.linear_scan.default](a, b, h0, reverse)
        torch.testing.assert_close(found, kernels.linear_scan_reference(a, b, h0, reverse=reverse))


@pytest.mark.parametrize(
    ("length", "reverse", "bare"), list(itertools.product((1, 6, 33), (False, True), (False, True)))
)
def test_selective_scans_by_doubling_are_selective_scans(length, reverse, bare):
    u, dt, z = (draw(2, length, 3, seed=k) for k in range(3))
    A, B, C, h0 = -draw(3, 4, seed=3).exp(), draw(2, length, 4, seed=4), draw(2, length, 4, seed=5), draw(2, 3, 4)
    D, z, bias = (None, None, None) if bare else (draw(3, seed=6), z, draw(3, seed=7))
    found = PLAIN[OPS.selective_scan.default](u, dt, A, B, C, D, z, bias, h0, not bare, reverse)
    wanted = kernels.selective_scan_reference(u, dt, A, B, C, D, z, bias, h0, softplus=not bare, reverse=reverse)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("form", [{}, {"reverse": True}, {"causal": False}, {"initial": draw(2, 4, 3, seed=9)}])
@pytest.mark.parametrize("activation", [None, "silu", "relu"])
def test_dilated_convolutions_are_grouped_ones(form, activation):
    x, weight, bias, residual = draw(2, 11, 3), draw(3, 3, seed=1), draw(3, seed=2), draw(2, 11, 3, seed=3)
    more = {"dilation": 2, "activation": activation, "residual": residual, **form}
    wanted = kernels.dilated_conv_reference(x, weight, bias, **more)
    reverse, causal = form.get("reverse", False), form.get("causal", True)
    taps, offset = weight.flip(1) if reverse else weight, 0 if reverse else -4 if causal else -2
    given = (x, taps, bias, residual, form.get("initial"), 2, offset, activation or "none")
    torch.testing.assert_close(PLAIN[OPS.dilated_conv.default](*given), wanted)


@pytest.mark.parametrize("shape", [(3, 8), (3, 5), (3, 1), (3, 2, 8)])
def test_long_convolutions_are_grouped_ones(shape):
    u, K = draw(2, 8, 3), draw(*shape, seed=1)
    torch.testing.assert_close(PLAIN[OPS.fft_conv.default](u, K), kernels.fft_conv_reference(u, K))


def test_running_maxima_tell_where_they_were():
    x = torch.randint(-3, 4, (2, 50, 3), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(_cummax(x, 1), tuple(torch.cummax(x, 1)))


def test_all_primitives_have_a_plain_form():
    forward = {name for name in dir(OPS) if name.endswith(("_scan", "_conv"))}
    assert forward == {op._schema.name.split("::")[1] for op in PLAIN if "tsrec" in str(op)}
