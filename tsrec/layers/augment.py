"""Recordings made other recordings that should be answered alike: other phases, other signs.

Small data sets show a waveform once; what is said of it must often not depend on the moment it was caught at.
"""

import torch
from torch import Tensor

AUGMENTATIONS = ("phase", "sign", None)


def augmented(x: Tensor, how: str | None, *, generator: torch.Generator) -> Tensor:
    """Change recordings at random, each in its own way.

    Parameters
    ----------
    x : Tensor of shape (B, T, C)
        Finite; units and means of the channels stay as they are.
    how : {"phase", "sign", None}
        "phase": every frequency is shifted by a random phase, the same in all channels. Power and coherence stay what
        they are, moments do not (surrogates of Prichard and Theiler 1994; for training, Schwabedal et al. 2018, arXiv
        1806.08675). "sign": all channels are turned upside down, or not.
    generator : torch.Generator
        Source of the randomness.

    Returns
    -------
    Tensor of shape (B, T, C)

    Raises
    ------
    ValueError
        For another kind.

    Examples
    --------
    >>> x = torch.sin(torch.arange(8.0))[None, :, None]
    >>> y = augmented(x, "phase", generator=torch.Generator().manual_seed(0))
    >>> bool(torch.allclose(torch.fft.rfft(y, dim=1).abs(), torch.fft.rfft(x, dim=1).abs(), atol=1e-5))
    True
    """
    if how not in AUGMENTATIONS:
        raise ValueError(f"augment={how!r} is not known; use one of {AUGMENTATIONS}.")
    if how is None:
        return x
    B, T, _ = x.shape
    if how == "sign":
        signs = torch.randint(2, (B, 1, 1), generator=generator, device=generator.device)
        return x * (2 * signs - 1).to(x.device, x.dtype)
    spectrum = torch.fft.rfft(x, dim=1)
    turns = torch.rand(B, spectrum.shape[1], 1, generator=generator, device=generator.device).to(x.device, x.dtype)
    angles = 2 * torch.pi * turns
    # What has no phase stays: the mean, and of an even length the fastest wave.
    angles[:, 0] = 0
    if T % 2 == 0:
        angles[:, -1] = 0
    return torch.fft.irfft(spectrum * torch.polar(torch.ones_like(angles), angles), n=T, dim=1)
