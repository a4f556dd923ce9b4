"""Linear state-space layers: LSSL and LSSL-fixed.

Gu, Johnson, Goel, Saab, Dao, Rudra and Re 2021, "Combining recurrent, convolutional, and continuous-time models with
linear state-space layers", arXiv 2110.13985. One matrix A serves all features; each feature has its own step size dt,
output matrix C and skip D. Training runs as a convolution, streaming as a recurrence, both from the same numbers.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tsrec.layers.hippo import Structured, check_method, discretize, structured
from tsrec.layers.krylov import DenseDynamics, Memo
from tsrec.layers.parameter_groups import OptimizerOptions
from tsrec.layers.random import default_generator
from tsrec.layers.residual import ResidualBlock, ResidualStack
from tsrec.layers.ssm import StateSpaceMixer, float64_device, log_uniform

LSSLBlock = ResidualBlock

_SLOW = {"lr": 1e-4, "weight_decay": 0.0}


class LSSL(StateSpaceMixer):
    """Linear state-space layer: SSM, GELU, dropout, and an affine map over features and channels.

    x' = A x + B u, y = C x + D u per feature, discretised; A = -P (D_A + T^-1) Q with diagonal P, D_A, Q and
    tridiagonal T (Theorem 11), which contains the HiPPO matrices it starts from.

    Parameters
    ----------
    d_model : int
        Features H.
    d_state : int, default 64
        State order N of each feature.
    channels : int, default 1
        Outputs M per feature before the affine map.
    measure : {"legs", "legt", "lagt"}, default "legs"
        HiPPO matrix to start from (or to keep).
    window_scale : float, default 1.0
        Window of "legt", in units of 1/dt steps.
    discretization : "bilinear", "zoh" or float in [0, 1], default "bilinear"
        A number is the alpha of the generalised bilinear transform.
    dt_min, dt_max : float, default 1e-3, 1e-1
        Step sizes are drawn log-uniformly between them. A feature remembers about 1/dt steps, so the two should
        bracket the length: scale both by 1000/L. A bad choice costs more than any other (Section 5.4).
    fixed : bool, default False
        LSSL-fixed: A, B and dt are buffers, and their powers are cached between calls.
    dropout : float, default 0.0
        Rate after the activation.
    generator : torch.Generator, optional
        Source of the initial values; a fresh one with seed 0 when omitted.

    Raises
    ------
    ValueError
        For an unknown measure or discretization, or step sizes out of order.

    Notes
    -----
    Discretisation runs in float64 and is cast afterwards; a solve in float32 costs up to two digits at N = 256. Keep
    the parameters in float32 (autocast is switched off inside). The dense powers need O(H N (N log L + sqrt L))
    memory. "zoh" with a trained A differentiates a matrix exponential at each training step, which costs about ten
    times the bilinear inverse; with ``fixed`` it costs nothing extra.

    Examples
    --------
    >>> layer = LSSL(4, d_state=8)
    >>> y, state = layer(torch.ones(2, 10, 4))
    >>> y.shape, state.shape
    (torch.Size([2, 10, 4]), torch.Size([2, 4, 8]))
    >>> y_t, state = layer.step(torch.ones(2, 4), state)
    """

    optimizer_options: ClassVar[OptimizerOptions] = {
        **dict.fromkeys(Structured._fields, _SLOW),
        "log_dt": {"lr": 1e-3, "weight_decay": 0.0},
    }

    log_dt: Tensor

    def __init__(
        self,
        d_model: int,
        *,
        d_state: int = 64,
        channels: int = 1,
        measure: str = "legs",
        window_scale: float = 1.0,
        discretization: str | float = "bilinear",
        dt_min: float = 1e-3,
        dt_max: float = 1e-1,
        fixed: bool = False,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        generator = default_generator(generator)
        super().__init__(d_model, channels, dropout, generator)
        check_method(discretization)
        self.d_state, self.discretization, self.fixed = d_state, discretization, fixed
        self.C = nn.Parameter(torch.randn(d_model, channels, d_state, generator=generator))
        vectors = structured(measure, d_state, window_scale)._asdict()
        vectors["log_dt"] = log_uniform(d_model, dt_min, dt_max, generator)
        for name, vector in vectors.items():
            if fixed:
                self.register_buffer(name, vector.float())
            else:
                self.register_parameter(name, nn.Parameter(vector.float()))
        self._memo = Memo()

    def matrices(self) -> tuple[Tensor, Tensor]:
        """Return the continuous A of shape (N, N) and B of shape (N,), in float64."""
        return self._structured().dense()

    def discrete(self, rate: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return Ab of shape (H, N, N) and Bb of shape (H, N) in float64, at step sizes dt * rate."""
        dt = self.log_dt.to(float64_device(self.log_dt), torch.float64).exp() * rate
        return discretize(*self.matrices(), dt, self.discretization)

    @torch.no_grad()
    def spectral_radius(self, squarings: int = 12) -> Tensor:
        """Bound the spectral radius of Ab from above, by ||Ab^k||^(1/k) with k = 2^squarings.

        A trained A may leave the stable half-plane; a value above 1 says that the state grows without bound.
        Eigenvalues computed numerically say nothing here, as HiPPO matrices are far from normal.

        Parameters
        ----------
        squarings : int, default 12
            More of them tighten the bound.

        Returns
        -------
        Tensor of shape (H,), float64

        Examples
        --------
        >>> bool((LSSL(4, d_state=8).spectral_radius() < 1).all())
        True
        """
        power, _ = self.discrete()
        log_norm = torch.zeros(self.d_model, dtype=power.dtype, device=power.device)
        for _ in range(squarings):
            power = power @ power
            norm = torch.linalg.matrix_norm(power)
            power = power / norm[:, None, None]
            log_norm = 2 * log_norm + norm.log()
        return (log_norm / 2**squarings).exp()

    def init_state(self, batch: int) -> Tensor:
        """Return zeros of shape (batch, H, N), in the dtype of C (at least float32)."""
        dtype = torch.promote_types(self.C.dtype, torch.float32)
        return torch.zeros(batch, self.d_model, self.d_state, dtype=dtype, device=self.C.device)

    def _dynamics(self, dtype: torch.dtype, rate: float) -> DenseDynamics:
        learned = [getattr(self, name) for name in (*Structured._fields, "log_dt")]
        is_learning = torch.is_grad_enabled() and any(vector.requires_grad for vector in learned)
        # What is made while a graph is recorded belongs to that graph.
        if is_learning or torch.compiler.is_compiling():
            return self._discretised(dtype, rate)
        # Tables that outlive the call must not be inference tensors, which later graphs could not use.
        with torch.inference_mode(False), torch.no_grad():
            vectors = torch.cat(learned)
            return self._memo.get((dtype, rate, self.C.device), vectors, lambda: self._discretised(dtype, rate))

    def _discretised(self, dtype: torch.dtype, rate: float) -> DenseDynamics:
        Ab, Bb = self.discrete(rate)
        return DenseDynamics(Ab.to(self.C.device, dtype), Bb.to(self.C.device, dtype))

    def _structured(self) -> Structured:
        vectors = (getattr(self, name) for name in Structured._fields)
        device = float64_device(self.log_dt)
        return Structured(*(v.to(device, torch.float64) for v in vectors))

    def _output_matrix(self, dtype: torch.dtype) -> Tensor:
        return self.C.to(dtype)

    def _read(self, state: Tensor) -> Tensor:
        return torch.einsum("bhn,hmn->bhm", state, self.C.to(state.dtype))


class LSSLStack(ResidualStack):
    """A deep LSSL: residual blocks of one width, with a final norm when the blocks are pre-norm (Appendix B.4).

    Parameters
    ----------
    d_model : int
        Features H.
    n_layers : int
        Blocks.
    d_state, channels, measure, window_scale, discretization, dt_min, dt_max, fixed, generator
        As in :class:`LSSL`.
    dropout : float, default 0.0
        Rate inside the layers and again on each residual branch.
    prenorm : bool, default True
        Normalise what enters a layer (and the end of the stack) instead of what leaves a block.

    Examples
    --------
    >>> stack = LSSLStack(4, 2, d_state=8)
    >>> y, state = stack(torch.ones(2, 10, 4))
    >>> y.shape, len(state)
    (torch.Size([2, 10, 4]), 2)
    """

    def __init__(
        self,
        d_model: int,
        n_layers: int,
        *,
        d_state: int = 64,
        channels: int = 1,
        measure: str = "legs",
        window_scale: float = 1.0,
        discretization: str | float = "bilinear",
        dt_min: float = 1e-3,
        dt_max: float = 1e-1,
        fixed: bool = False,
        dropout: float = 0.0,
        prenorm: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        generator = default_generator(generator)
        layers = [
            LSSL(
                d_model,
                d_state=d_state,
                channels=channels,
                measure=measure,
                window_scale=window_scale,
                discretization=discretization,
                dt_min=dt_min,
                dt_max=dt_max,
                fixed=fixed,
                dropout=dropout,
                generator=generator,
            )
            for _ in range(n_layers)
        ]
        super().__init__(layers, dropout=dropout, prenorm=prenorm)


def stack_over(tokens: int, d_model: int, n_layers: int, **options: Any) -> LSSLStack:
    """Layers for short sequences of tokens: a feature remembers about 1/dt, a tenth of them to four times as many.

    Parameters
    ----------
    tokens : int
        Length of the sequences.
    d_model, n_layers : int
        As for :class:`LSSLStack`.
    **options
        Further parameters of it.

    Returns
    -------
    LSSLStack
        LSSL-fixed.
    """
    return LSSLStack(d_model, n_layers, dt_min=0.25 / tokens, dt_max=10 / tokens, fixed=True, **options)
