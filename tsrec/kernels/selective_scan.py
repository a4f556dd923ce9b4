"""Selective scan: a diagonal state space model whose step, input and output weights depend on the input.

This is the recurrence of Mamba (Gu and Dao 2023, arXiv 2312.00752, algorithm 2), with D channels of N states each:

    delta_t = softplus(dt_t + dt_bias)
    h_t = exp(delta_t A) h_{t-1} + (delta_t u_t) B_t'
    y_t = h_t C_t + D u_t, times z_t sigmoid(z_t) if there is a gate z

The states of all steps, N times as large as the input, are never in memory: the gradient computes them again.
"""

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from tsrec.kernels import _dispatch, _ops
from tsrec.kernels.linear_scan import _adjoint_reference as linear_adjoint
from tsrec.kernels.linear_scan import _order, linear_scan_reference

_Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def selective_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    dt_bias: Tensor | None = None,
    h0: Tensor | None = None,
    *,
    softplus: bool = True,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Run a diagonal state space model with weights that change at every step.

    Half precision is accumulated in float32. First derivatives of all tensors are available, also those of the last
    state, by ``backward`` and ``torch.autograd.grad`` only (``torch.func.grad`` raises, ``torch.func.jvp`` would give
    zeros); :func:`selective_scan_reference` supports all of torch's transforms.

    Parameters
    ----------
    u : Tensor of shape (B, L, D)
        Input, L >= 1.
    dt : Tensor of shape (B, L, D)
        Length of each step before `dt_bias` and softplus.
    A : Tensor of shape (D, N)
        Rates of the states, real, as a rule negative. A positive one grows.
    B, C : Tensor of shape (B, L, N)
        Weights of the input into the states, and of the states in the output.
    D : Tensor of shape (D,), optional
        Weight of the input in the output.
    z : Tensor of shape (B, L, D), optional
        Gate: the output is multiplied by z sigmoid(z).
    dt_bias : Tensor of shape (D,), optional
        Added to `dt`.
    h0 : Tensor of shape (B, D, N), optional
        State before the first step. Zeros when omitted.
    softplus : bool, default True
        Take softplus(dt + dt_bias) as the length of a step; False takes dt + dt_bias, where 0 keeps the state.
    reverse : bool, default False
        Run from the last step to the first: h_t follows from h_{t+1}.

    Returns
    -------
    y : Tensor of shape (B, L, D)
        In the dtype of `u`.
    h_last : Tensor of shape (B, D, N)
        The state after the last step computed, in the accumulation dtype (float32, or float64 if any input is). Give
        it as `h0` to the next call to continue the sequence.

    Raises
    ------
    ValueError
        If shapes do not fit, or L or N is 0.
    TypeError
        If a tensor is not of a real floating dtype.

    Examples
    --------
    >>> one = torch.ones(1, 3, 1)
    >>> y, h_last = selective_scan(one, one, -torch.full((1, 1), 2.0).log(), one, one, softplus=False)
    >>> [round(v, 4) for v in y.flatten().tolist()], round(h_last.item(), 4)
    ([1.0, 1.5, 1.75], 1.75)
    """
    state = _start(u, dt, A, B, C, D, z, dt_bias, h0)
    return _op(u, dt, A, B, C, D, z, dt_bias, state, softplus, reverse)


def selective_scan_reference(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    dt_bias: Tensor | None = None,
    h0: Tensor | None = None,
    *,
    softplus: bool = True,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Compute the same one step at a time in plain torch: the meaning of :func:`selective_scan`.

    Parameters and results are those of :func:`selective_scan`; autograd differentiates it to any order.

    Examples
    --------
    >>> one = torch.ones(1, 3, 1)
    >>> y, _ = selective_scan_reference(one, one, torch.zeros(1, 1), one, one, softplus=False, reverse=True)
    >>> y.flatten().tolist()
    [3.0, 2.0, 1.0]
    """
    h = _start(u, dt, A, B, C, D, z, dt_bias, h0)
    # One unbind instead of L subscripts: the gradient of each subscript would be a tensor of full size.
    us, dts, Bs, Cs = (x.unbind(1) for x in (u, dt, B, C))
    gates = [None] * len(us) if z is None else z.unbind(1)
    steps = []
    for t in _order(len(us), reverse):
        y, h = selective_scan_step(us[t], dts[t], A, Bs[t], Cs[t], D, gates[t], dt_bias, h, softplus)
        steps.append(y[:, None])
    if reverse:
        steps.reverse()
    # Not stack, which returns a view: a result may be changed in place.
    return torch.cat(steps, dim=1), h


def selective_scan_step(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    h: Tensor,
    softplus: bool = True,
) -> tuple[Tensor, Tensor]:
    """Advance the model by one step.

    Parameters
    ----------
    u, dt : Tensor of shape (B, D)
        Input and length of this step.
    A : Tensor of shape (D, N)
        Rates of the states.
    B, C : Tensor of shape (B, N)
        Weights of this step.
    D : Tensor of shape (D,) or None
        As in :func:`selective_scan`.
    z : Tensor of shape (B, D) or None
        Gate of this step.
    dt_bias : Tensor of shape (D,) or None
        As in :func:`selective_scan`.
    h : Tensor of shape (B, D, N)
        State before the step, as returned by :func:`selective_scan`.
    softplus : bool, default True
        As in :func:`selective_scan`.

    Returns
    -------
    y : Tensor of shape (B, D)
        Output, in the dtype of `u`.
    h : Tensor of shape (B, D, N)
        State after the step, in the accumulation dtype.

    Examples
    --------
    >>> one = torch.ones(1, 1)
    >>> y, h = selective_scan_step(one, one, one * 0, one, one, one, None, None, torch.ones(1, 1, 1), softplus=False)
    >>> y.item(), h.item()
    (3.0, 2.0)
    """
    dtype = _dispatch.accumulation_dtype(u, dt, A, B, C, D, z, dt_bias, h)
    x, delta = u.to(dtype), _step_lengths(dt, dt_bias, dtype, softplus)
    h = torch.exp(delta[..., None] * A.to(dtype)) * h.to(dtype) + (delta * x)[..., None] * B.to(dtype)[:, None]
    y = (h * C.to(dtype)[:, None]).sum(-1)
    if D is not None:
        y = y + D.to(dtype) * x
    if z is not None:
        y = y * functional.silu(z.to(dtype))
    return y.to(u.dtype), h


def _step_lengths(dt: Tensor, dt_bias: Tensor | None, dtype: torch.dtype, softplus: bool) -> Tensor:
    delta = dt.to(dtype) if dt_bias is None else dt.to(dtype) + dt_bias.to(dtype)
    # Without a threshold: torch takes softplus(x) = x from x = 20 on unless told otherwise.
    return functional.softplus(delta, threshold=40) if softplus else delta


def _selective_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    h0: Tensor,
    softplus: bool,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    backend = _dispatch.choose("selective_scan", u.device, h0.dtype)
    if backend != "reference":
        scan = _dispatch.load(f"{backend}_selective").scan
        return scan(u, dt, A, B, C, D, z, dt_bias, h0, softplus, reverse)
    return selective_scan_reference(u, dt, A, B, C, D, z, dt_bias, h0, softplus=softplus, reverse=reverse)


def _selective_scan_fake(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    h0: Tensor,
    softplus: bool,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    return u.new_empty(u.shape), h0.new_empty(h0.shape)


def _selective_scan_backward(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    h0: Tensor,
    g: Tensor,
    g_last: Tensor,
    softplus: bool,
    reverse: bool,
) -> _Gradients:
    """Return the gradients of the nine tensors in their dtypes, empty ones for tensors left out."""
    backend = _dispatch.choose("selective_scan", u.device, h0.dtype)
    adjoint = _adjoint_reference if backend == "reference" else _dispatch.load(f"{backend}_selective").scan_adjoint
    inputs = (u, dt, A, B, C, D, z, dt_bias, h0)
    found = adjoint(*inputs, g, g_last, softplus, reverse)
    pairs = zip(inputs, found, strict=True)
    return cast(_Gradients, tuple(u.new_empty(0) if x is None else grad.to(x.dtype).contiguous() for x, grad in pairs))


def _selective_scan_backward_fake(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    h0: Tensor,
    g: Tensor,
    g_last: Tensor,
    softplus: bool,
    reverse: bool,
) -> _Gradients:
    inputs = (u, dt, A, B, C, D, z, dt_bias, h0)
    return cast(_Gradients, tuple(u.new_empty(0) if x is None else x.new_empty(x.shape) for x in inputs))


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:9])
    ctx.softplus, ctx.reverse = inputs[9:]


def _backward(ctx: Any, g: Tensor, g_last: Tensor) -> tuple[Tensor | None, ...]:
    gradients = _op_backward(*ctx.saved_tensors, g, g_last, ctx.softplus, ctx.reverse)
    wanted = zip(gradients, ctx.needs_input_grad, strict=False)
    return (*(gradient if needed else None for gradient, needed in wanted), None, None)


def _adjoint_reference(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    h0: Tensor,
    g: Tensor,
    g_last: Tensor,
    softplus: bool,
    reverse: bool,
) -> tuple[Tensor | None, ...]:
    """Differentiate the linear scan of all D N states, then what its decays and inputs are made of."""
    dtype = h0.dtype
    delta = _step_lengths(dt, dt_bias, dtype, softplus)
    u, A, B, C, g = (x.to(dtype) for x in (u, A, B, C, g))
    decay, drive = torch.exp(delta[..., None] * A), delta * u
    b = drive[..., None] * B[:, :, None]
    h, _ = linear_scan_reference(decay.flatten(2), b.flatten(2), h0.flatten(1), reverse=reverse)
    dz = None
    if z is not None:
        y = (h.view(decay.shape) * C[:, :, None]).sum(-1)
        y = y if D is None else y + D.to(dtype) * u
        x, s = z.to(dtype), torch.sigmoid(z.to(dtype))
        dz, g = g * y * s * (1 + x * (1 - s)), g * functional.silu(x)
    gh = (g[..., None] * C[:, :, None]).flatten(2)
    da, db, dh0 = linear_adjoint(decay.flatten(2), h, h0.flatten(1), gh, g_last.flatten(1), reverse)
    h, db, da = h.view(decay.shape), db.view(decay.shape), da.view(decay.shape) * decay
    ddrive = (db * B[:, :, None]).sum(-1)
    ddt = ddrive * u + (da * A).sum(-1)
    if softplus:
        ddt = ddt * torch.sigmoid(dt.to(dtype) if dt_bias is None else dt.to(dtype) + dt_bias.to(dtype))
    return (
        ddrive * delta if D is None else ddrive * delta + D.to(dtype) * g,
        ddt,
        (da * delta[..., None]).sum((0, 1)),
        (db * drive[..., None]).sum(2),
        (h * g[..., None]).sum(2),
        None if D is None else (g * u).sum((0, 1)),
        dz,
        None if dt_bias is None else ddt.sum((0, 1)),
        dh0.view(h0.shape).clone(),  # not a view: a result may be changed in place
    )


def _start(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    h0: Tensor | None,
) -> Tensor:
    """Check the arguments and return the state to start from."""
    if u.ndim != 3 or u.shape[1] < 1:
        raise ValueError(f"u must have shape (B, L, D) with L >= 1, got {tuple(u.shape)}.")
    if A.ndim != 2 or A.shape[1] < 1:
        raise ValueError(f"A must have shape (D, N) with N >= 1, got {tuple(A.shape)}.")
    (batch, length, width), order = u.shape, A.shape[1]
    wanted = {
        "dt": (dt, u.shape),
        "A": (A, (width, order)),
        "B": (B, (batch, length, order)),
        "C": (C, (batch, length, order)),
        "D": (D, (width,)),
        "z": (z, u.shape),
        "dt_bias": (dt_bias, (width,)),
        "h0": (h0, (batch, width, order)),
    }
    for name, (tensor, shape) in wanted.items():
        if tensor is not None and tensor.shape != shape:
            raise ValueError(
                f"{name} must have shape {tuple(shape)} to go with u of shape {tuple(u.shape)} and N = {order}, "
                f"got {tuple(tensor.shape)}."
            )
    _dispatch.check_floating(u=u, dt=dt, A=A, B=B, C=C, D=D, z=z, dt_bias=dt_bias, h0=h0)
    dtype = _dispatch.accumulation_dtype(u, dt, A, B, C, D, z, dt_bias, h0)
    return u.new_zeros(batch, width, order, dtype=dtype) if h0 is None else h0.to(dtype)


_op = _ops.register(_selective_scan, _selective_scan_fake, _setup, _backward)
_op_backward = _ops.register(_selective_scan_backward, _selective_scan_backward_fake)
