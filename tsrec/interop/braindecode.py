"""LuMamba as a torch module with the conventions of braindecode: (batch, n_chans, n_times) in, log odds out.

Neither braindecode nor skorch is imported: ``braindecode.EEGClassifier(LuMambaModule, ...)`` and a training loop of
one's own take the module as they take braindecode's own.
"""

from typing import Any

import torch
from torch import Tensor, nn

from tsrec.estimators.lumamba import LuMambaEncoder
from tsrec.frames import electrode_positions
from tsrec.layers.lumamba import LuMamba
from tsrec.layers.lumamba_tasks import make_head
from tsrec.training import make_generator

__all__ = ["LuMambaModule"]


class LuMambaModule(nn.Module):
    """An encoder and a head.

    Parameters
    ----------
    n_outputs : int
        Classes.
    chs_info : list of dict
        A channel each, as ``raw.info["chs"]`` of MNE-Python has them; ``ch_name`` gives the place on the scalp.
    n_chans, n_times, input_window_seconds, sfreq : optional
        What braindecode says of the data; windows must come at the rate of the encoder.
    head : {"query", "linear", "mamba"}
        How tokens become log odds.
    encoder : LuMambaEncoder, optional
        A fitted one, whose weights are the first ones and stay as they are in the encoder itself; its positions hold.
        Its filters, and units that come from fit, are not applied.
    seed : int
        Of the first weights of all else, and of dropout.
    **options
        Of :class:`tsrec.layers.lumamba.LuMamba`, where no encoder is given.

    Raises
    ------
    ValueError
        If a channel has no known place, or n_chans is another number.

    Examples
    --------
    >>> module = LuMambaModule(2, [{"ch_name": "Cz"}, {"ch_name": "Pz"}], width=16, n_queries=1, n_layers=1)
    >>> module(torch.randn(4, 2, 200)).shape
    torch.Size([4, 2])
    """

    points: Tensor

    def __init__(
        self,
        n_outputs: int,
        chs_info: list[dict[str, Any]],
        n_chans: int | None = None,
        n_times: int | None = None,  # noqa: ARG002 - braindecode gives them, any length is taken
        input_window_seconds: float | None = None,  # noqa: ARG002
        sfreq: float | None = None,
        *,
        head: str = "query",
        encoder: LuMambaEncoder | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        names = [str(one["ch_name"]) for one in chs_info]
        if n_chans is not None and n_chans != len(names):
            raise ValueError(f"n_chans: found {n_chans}, but chs_info has {len(names)} channels. Give the same.")
        if encoder is not None and sfreq is not None and abs(sfreq / encoder.sfreq_ - 1) > 1e-4:
            raise ValueError(f"sfreq: found {sfreq}, the encoder learned at {encoder.sfreq_}. Resample the windows.")
        if encoder is not None and not encoder.on_scalp_:
            raise ValueError(
                "encoder: its channels are on no scalp, so it knows nothing of places. Fit one with names."
            )
        generator = make_generator(seed)
        self.encoder = LuMamba(**(options if encoder is None else encoder.architecture_), generator=generator)
        if encoder is not None:
            self.encoder.load_state_dict(encoder.module_.encoder.state_dict())
        self.head = make_head(head, self.encoder.n_features, n_outputs, generator=generator)
        self.seed = seed
        own = None if encoder is None else encoder.positions_
        self.register_buffer("points", torch.from_numpy(electrode_positions(names, own, where="chs_info")).float())

    def forward(self, x: Tensor) -> Tensor:
        """Log odds (batch, n_outputs) of windows (batch, n_chans, n_times)."""
        if self.training:
            self._give_generators(x.device)
        tokens, _ = self.encoder(x.transpose(1, 2), self.points.expand(len(x), -1, -1))
        return self.head(tokens)

    def _give_generators(self, device: torch.device) -> None:
        """Copies and pickles leave generators behind; who trains the module does not know of them."""
        drawing = [module for module in self.modules() if hasattr(module, "generator")]
        if any(module.generator is None for module in drawing):
            generator = torch.Generator(device).manual_seed(self.seed)
            for module in drawing:
                setattr(module, "generator", generator)  # noqa: B010 - not an attribute nn.Module declares
