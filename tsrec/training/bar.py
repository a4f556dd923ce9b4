"""The progress bar of terminals and notebooks."""

import sys
from importlib.util import find_spec
from typing import Any


def open_bar(total: int, *, label: str, unit: str) -> Any:
    """Show a bar.

    Parameters
    ----------
    total : int
        Its length.
    label : str
        Text before it.
    unit : str
        What is counted.

    Returns
    -------
    tqdm.tqdm
        With ``update(n)``, ``set_postfix`` and ``close()``.
    """
    return bar_class()(total=total, desc=label, unit=unit, leave=True)


def bar_class() -> Any:
    """Return tqdm's notebook bar inside a notebook that has widgets, else its terminal bar.

    tqdm.auto warns when it is experimental or when widgets are missing; asking first needs no filter on warnings.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if type(shell).__name__ == "ZMQInteractiveShell" and find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm as notebook_bar

        return notebook_bar
    from tqdm.std import tqdm as terminal_bar

    return terminal_bar
