"""What all pictures have in common: colours, ticks that can be read, and matplotlib itself."""

from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREY, BLUE, BLACK, RULE = "#7b8794", "#1d5fd1", "#1f2933", "#cbd2d9"
# One for each of several models, told apart also by those who see no red or green.
COLORS = (BLUE, "#e8590c", "#0b8f6a", "#a23bb5", "#c79200", "#0c8599", "#c2255c", "#6741d9")

_ONE_COLUMN = 3  # so many pairs of axes stand below each other, more in two columns
LEGEND: dict[str, Any] = {"frameon": False, "fontsize": "small", "handlelength": 1.6, "columnspacing": 1.4}


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


def named(names: Any) -> list[Any]:
    """One name or several, as a list: a text, a number or a time alone is a name."""
    return [names] if pd.api.types.is_scalar(names) else list(names)


def shares(coverage: Any, *, single: bool = False) -> list[float]:
    """One coverage or several, as a list, each once.

    Raises
    ------
    ValueError
        If one is no number between 0 and 1, or there are none, or several where a `single` one can be drawn.
    """
    coverage = coverage.tolist() if isinstance(coverage, np.ndarray) else coverage
    several = isinstance(coverage, Iterable) and not isinstance(coverage, str)
    found = list(coverage) if several else [coverage]
    if not found or not all(isinstance(share, Real) and 0 < float(share) < 1 for share in found):
        raise ValueError(
            f"coverage: found {found if several else coverage!r}. Give a number between 0 and 1, for example 0.9"
            + (", or several in a list." if not single else ".")
        )
    found = list(dict.fromkeys(map(float, found)))
    if single and len(found) > 1:
        raise ValueError(f"coverage: found {found}, and one interval can be drawn. Give one of them.")
    return found


def single_axes(ax: Any, name: str, size: tuple[float, float]) -> tuple[Any, Any]:
    """Figure and axes: those given, or new ones."""
    if ax is not None:
        return ax.figure, ax
    return pyplot(name).subplots(figsize=size, layout="constrained")


def small_axes(name: str, count: int) -> np.ndarray:
    """Axes of a new figure: a few below each other, more in two columns."""
    columns = 1 if count <= _ONE_COLUMN else 2
    rows = -(-count // columns)
    height = 3.6 if rows == 1 else 2.3 * rows + 0.6
    figure, grid = pyplot(name).subplots(rows, columns, figsize=(9.0, height), squeeze=False, layout="constrained")
    axes = grid.ravel()
    for spare in axes[count:]:
        figure.delaxes(spare)
    return axes[:count]


def line_legend(axes: np.ndarray, handles: list[Any], labels: list[str], *, is_new: bool) -> None:
    """One legend for all axes, in a line: above the first, or above all if those of a new figure stand side by side."""
    if is_new and len(axes) > _ONE_COLUMN:
        axes[0].figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), **LEGEND)
    else:
        place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
        axes[0].legend(handles, labels, ncols=len(labels), **place, **LEGEND)


def plain(ax: Any) -> None:
    """Axes of numbers on both sides: a grid, and no frame."""
    ax.grid(color=RULE, linewidth=0.6, alpha=0.7)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(which="both", colors=GREY, labelsize="small", length=0)


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
