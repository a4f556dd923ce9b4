"""Observed rows put behind a history."""

from typing import Any

import numpy as np

from tsrec.estimators._request import Request
from tsrec.frames import Panel


def appended(panel: Panel, request: Request, blocks: dict[str, np.ndarray], *, where: str) -> Panel:
    """The panel with rows appended; every series must go on without a hole.

    Parameters
    ----------
    panel : Panel
        The history.
    request : Request
        Series and step of each new row.
    blocks : dict
        New rows for "values" and, if the panel has them, "covariates" and "past".
    where : str
        How errors call the argument.

    Raises
    ------
    ValueError
        If a row is in the history already, or one is missing or repeated.
    """
    ahead = request.positions - panel.lengths[request.series]
    if (ahead < 0).any():
        raise ValueError(
            f"{where}: {int((ahead < 0).sum())} rows are in the history already, the first is "
            f"{request.index[int(np.flatnonzero(ahead < 0)[0])]}. Give only rows after its end."
        )
    more = np.bincount(request.series, minlength=panel.n_series)
    reach = np.zeros(panel.n_series, dtype=np.int64)
    np.maximum.at(reach, request.series, ahead + 1)
    if (reach != more).any():
        first = int(np.flatnonzero(reach != more)[0])
        end: Any = panel.grid.decode(panel.ends[[first]])[0]
        raise ValueError(
            f"{where}: {int(abs(reach - more)[first])} rows are missing or repeated between the history, which "
            f"ends before {end}, and the last new row. Give every row from there on, NaN where nothing was observed."
        )
    longer = panel.resized(np.zeros_like(more), more)
    rows = longer.offsets[:-1][request.series] + request.positions
    for name, block in blocks.items():
        getattr(longer, name)[rows] = block
    return longer
