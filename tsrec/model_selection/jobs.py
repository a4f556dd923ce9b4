"""Independent jobs through joblib, under the settings and warning filters of the caller, with a bar if watched."""

from collections.abc import Iterable
from typing import Any

from sklearn.utils.parallel import Parallel

from tsrec.training.bar import watched


def run_jobs(
    calls: Iterable[Any],
    count: int,
    *,
    n_jobs: int | None,
    label: str,
    unit: str,
    verbose: int = 0,
    prefer: str | None = None,
) -> list[Any]:
    """Answers of all calls, in their order; joblib decides where they run.

    Parameters
    ----------
    calls : iterable of calls made by :func:`sklearn.utils.parallel.delayed`
    count : int
        How many there are.
    n_jobs : int or None
        As in joblib; its ``parallel_config`` counts.
    label, unit : str
        Of the bar.
    verbose : int
        1 shows the bar.
    prefer : {"threads", "processes"}, optional
        Where they run unless ``parallel_config`` says otherwise.

    Returns
    -------
    list

    Examples
    --------
    >>> from sklearn.utils.parallel import delayed
    >>> run_jobs((delayed(abs)(k) for k in (-1, 2)), 2, n_jobs=None, label="sizes", unit="number")
    [1, 2]
    """
    # Without a bar, joblib need not hand on one answer after the other.
    work = Parallel(n_jobs=n_jobs, prefer=prefer, return_as="generator" if verbose > 0 else "list")
    return list(watched(work(calls), count, label=label, unit=unit, verbose=verbose))
