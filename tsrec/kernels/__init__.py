"""Numerical primitives: scans and convolutions, each with a plain reference that is its meaning.

One file per primitive (the public operation, its gradient, its reference), one per backend (``_numba``), and one
small dispatcher between them. Backends are loaded when a primitive is first called, not at import.
"""

from tsrec.kernels.dilated_conv import dilated_conv, dilated_conv_reference, dilated_conv_state, dilated_conv_step
from tsrec.kernels.fft_conv import fft_conv, fft_conv_reference, fft_conv_step
from tsrec.kernels.linear_scan import linear_scan, linear_scan_reference, linear_scan_step
from tsrec.kernels.selective_scan import selective_scan, selective_scan_reference, selective_scan_step

__all__ = [
    "dilated_conv",
    "dilated_conv_reference",
    "dilated_conv_state",
    "dilated_conv_step",
    "fft_conv",
    "fft_conv_reference",
    "fft_conv_step",
    "linear_scan",
    "linear_scan_reference",
    "linear_scan_step",
    "selective_scan",
    "selective_scan_reference",
    "selective_scan_step",
]
