"""Series taken apart into trend, seasons and rest."""

from tsrec.decomposition.fourier import FourierSeasonal
from tsrec.decomposition.smooth import MovingAverage, Whittaker
from tsrec.decomposition.stl import MSTL, STL

__all__ = ["MSTL", "STL", "FourierSeasonal", "MovingAverage", "Whittaker"]
