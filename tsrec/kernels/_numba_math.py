"""Elementary functions for numba kernels that compile to vector instructions inside a loop over channels.

Numba calls the scalar functions of the C library for exp, log1p and the like, one element at a time: three to twenty
times slower. Those below are polynomials, for float32 accurate to about three units in the last place. They have no
branches, so that LLVM vectorises the loop around them. NaN passes through. For float64, which serves tests, they
call the library.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload, register_jitable

from tsrec.kernels._numba import OPTIONS

_JIT: Any = {key: value for key, value in OPTIONS.items() if key != "cache"}  # cached with their callers

LOG2_E = 1.4426950408889634

_INT32, _FLOAT32 = np.int32, np.float32
# Minimax in relative error: 2^x = 1 + x p(x) on [-1/2, 1/2] to 9e-8, log(1 + t) = t q(t) on [0, 1] to 3e-8. The
# constant 1 makes exp2(0) exactly 1: a step of length zero keeps its state.
_P1, _P2, _P3 = _FLOAT32(0.6931470036506653), _FLOAT32(0.24022242426872253), _FLOAT32(0.05550733581185341)
_P4, _P5 = _FLOAT32(0.009671512991189957), _FLOAT32(0.001326472731307149)
_Q0, _Q1, _Q2 = _FLOAT32(0.9999999403953552), _FLOAT32(-0.4999949336051941), _FLOAT32(0.3331909775733948)
_Q3, _Q4, _Q5 = _FLOAT32(-0.2484298199415207), _FLOAT32(0.19106008112430573), _FLOAT32(-0.13663247227668762)
_Q6, _Q7, _Q8 = _FLOAT32(0.07822596281766891), _FLOAT32(-0.02950524350492902), _FLOAT32(0.005232694558799267)
_LOG2_E = _FLOAT32(LOG2_E)
_ZERO, _ONE, _LOW, _HIGH, _FINITE = _FLOAT32(0), _FLOAT32(1), _FLOAT32(-127), _FLOAT32(128), _FLOAT32(86)
# From here down silu stays as it is here, -4e-36: sigmoid stops short of zero, which a large factor would show.
_SILU_IS_ZERO = _FLOAT32(-100)


def exp2(x: Any) -> Any:
    """Return 2^x: infinite from x = 128, zero up to x = -127 (float32)."""
    raise NotImplementedError("for compiled code only")


def exp(x: Any) -> Any:
    """Return e^x, through :func:`exp2`."""
    raise NotImplementedError("for compiled code only")


def log1p_unit(t: Any) -> Any:
    """Return log(1 + t) for t in [0, 1]."""
    raise NotImplementedError("for compiled code only")


def _bitcast(given, wanted):  # type: ignore[no-untyped-def]
    def bitcast(typing_context, x):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.bitcast(args[0], context.get_value_type(wanted))

        return wanted(given), generate

    return intrinsic(bitcast)


def _select(comparison):  # type: ignore[no-untyped-def]
    """Return x, or the bound if x compares so with it: one instruction, where numba's `if` is a branch; NaN stays."""

    def select(typing_context, x, bound):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.select(builder.fcmp_ordered(comparison, *args), args[1], args[0])

        return x(x, x), generate

    return intrinsic(select)


_bits, _float_of_bits = _bitcast(types.float32, types.int32), _bitcast(types.int32, types.float32)
at_least, at_most = _select("<"), _select(">")


@overload(exp2, jit_options=_JIT)
def _overload_exp2(x):  # type: ignore[no-untyped-def]
    return _exp2_single if x == types.float32 else _exp2_double


def _exp2_single(x):  # type: ignore[no-untyped-def]
    x = at_most(at_least(x, _LOW), _HIGH)
    # rint is one instruction; adding and subtracting a large number would be undone by fastmath.
    n = np.rint(x)
    f = x - n
    p = _ONE + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * _P5))))
    # Into the exponent: 2^128 becomes inf, 2^-127 becomes 0, a NaN stays one as its integer shifts to 0.
    return _float_of_bits(_INT32(_bits(p) + (_INT32(n) << 23)))


def _exp2_double(x):  # type: ignore[no-untyped-def]
    return np.exp2(x)


@overload(exp, jit_options=_JIT)
def _overload_exp(x):  # type: ignore[no-untyped-def]
    return _exp_single if x == types.float32 else _exp_double


def _exp_single(x):  # type: ignore[no-untyped-def]
    return exp2(x * _LOG2_E)


def _exp_double(x):  # type: ignore[no-untyped-def]
    return np.exp(x)


@overload(log1p_unit, jit_options=_JIT)
def _overload_log1p_unit(t):  # type: ignore[no-untyped-def]
    return _log1p_single if t == types.float32 else _log1p_double


def _log1p_single(t):  # type: ignore[no-untyped-def]
    low = _Q0 + t * (_Q1 + t * (_Q2 + t * (_Q3 + t * _Q4)))
    t2 = t * t
    return t * (low + (t2 * t2 * t) * (_Q5 + t * (_Q6 + t * (_Q7 + t * _Q8))))


def _log1p_double(t):  # type: ignore[no-untyped-def]
    return np.log1p(t)


@register_jitable(**_JIT)
def sigmoid(z: Any) -> Any:
    """Return 1 / (1 + e^-z), from 4e-38 to 1."""
    # A finite denominator: fastmath may divide by an estimated reciprocal, and that of infinity comes out as NaN.
    return _ONE / (_ONE + exp(at_most(-z, _FINITE)))


@register_jitable(**_JIT)
def softplus(x: Any) -> Any:
    """Return log(1 + e^x), whose derivative is sigmoid(x)."""
    return at_least(x, _ZERO) + log1p_unit(exp(-abs(x)))


@register_jitable(**_JIT)
def silu(z: Any) -> Any:
    """Return z sigmoid(z)."""
    z = at_least(z, _SILU_IS_ZERO)
    return z * sigmoid(z)


@register_jitable(**_JIT)
def silu_slope(z: Any) -> Any:
    """Return the derivative of :func:`silu`."""
    z = at_least(z, _SILU_IS_ZERO)
    s = sigmoid(z)
    return s * (_ONE + z * (_ONE - s))
