"""What all pictures have in common: colours, ticks that can be read, and matplotlib itself."""

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREY, BLUE, BLACK, RULE = "#7b8794", "#1d5fd1", "#1f2933", "#cbd2d9"


def pyplot(name: str) -> Any:
    """Matplotlib's pyplot.

    Parameters
    ----------
    name : str
        Who wants to draw.

    Raises
    ------
    ImportError
        If it is not installed; says how to.
    """
    try:
        from matplotlib import pyplot as found
    except ImportError as err:
        raise ImportError(
            f"{name}: matplotlib is needed to plot and is not installed. Install it with: pip install 'tsrec[plot]'"
        ) from err
    return found


def encoder_of(estimator: Any) -> Any:
    """The encoder of a classifier that is built on one; else what was given."""
    if hasattr(estimator, "transform"):
        return estimator
    check_is_fitted(estimator)
    if not hasattr(estimator, "encoder_"):
        raise TypeError(
            f"encoder: {type(estimator).__name__} embeds nothing. Give an estimator with transform, or a classifier "
            "that is built on one."
        )
    return estimator.encoder_


def dress(ax: "Axes", time: np.ndarray, title: str) -> None:
    """Ticks that can be read, a title, and nothing that is not needed."""
    from matplotlib import dates, ticker

    if np.issubdtype(time.dtype, np.datetime64):
        locator = dates.AutoDateLocator(minticks=4, maxticks=9)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    else:
        ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    ax.yaxis.set_major_locator(ticker.MaxNLocator(nbins=5))
    if 1e4 <= max(map(abs, ax.get_ylim())) < 1e7:
        ax.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    ax.margins(x=0.01)
    ax.set_title(title, loc="left", fontsize="medium", color=BLACK)
    ax.grid(axis="y", color=RULE, linewidth=0.6, alpha=0.7)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(RULE)
    ax.tick_params(colors=BLACK, labelsize="small", length=0)
    ax.xaxis.get_offset_text().set_fontsize("small")
