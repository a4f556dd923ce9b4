"""Find where in many, long, multichannel series something happened."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from tsrec.estimators._parameters import check_verbose
from tsrec.frames import label_at
from tsrec.retrieval._asked import (
    asked_channels,
    distance_limit,
    named_series,
    open_rows,
    picked_channels,
    picked_scales,
    warp_factors,
    whole_number,
)
from tsrec.retrieval._checks import check_retriever
from tsrec.retrieval._contents import own_rows
from tsrec.retrieval._locate import (
    Asked,
    Found,
    Search,
    reranked,
    scores,
    search_all,
    search_candidates,
    search_windows,
    stretched,
    without_own,
)
from tsrec.retrieval._neighbors import WindowNeighbors
from tsrec.retrieval._read import check_queries
from tsrec.retrieval._repeats import Repeats
from tsrec.retrieval._stored import StoredSeries


class SubsequenceRetriever(StoredSeries, Repeats, WindowNeighbors):
    """Search series for the intervals that look most like a query.

    By default every window of the series is compared with the query (``index="exact"``): distances are z-normalised,
    that is, every channel of the query and of a window is brought to mean 0 and standard deviation 1, so that level and
    scale do not count. Spectra of the series are kept, so that this takes milliseconds for a million samples.

    Windows of several lengths are indexed besides, by the first Fourier coefficients or by what a fitted encoder makes
    of them. They are what ``kneighbors`` and its like are about. With an encoder, `locate` answers by them.

    Parameters
    ----------
    n_neighbors : int
        How many intervals or windows are asked for, unless the question says another number.
    encoder : "auto" or fitted encoder
        What makes vectors of windows: the first Fourier coefficients, or an encoder of tsrec, or any fitted transformer
        of a list of frames that names its features. Give scikit-learn's ``FrozenEstimator(encoder)`` where the
        retriever is cloned, as by GridSearchCV: ``clone`` unfits any other. If it is fitted again, call `reindex`.
    scales : sequence of int
        Lengths of the windows that are indexed, in rows. Those longer than every series are indexed once a series has
        grown to them; if all are longer at `fit` (than the first of an iterator), so is the median length of the
        series.
    stride : float
        Rows from one window to the next, as a share of their length.
    metric : {"znorm", "euclidean"}
        Whether level and scale of intervals do not count, or do: distances are then of the samples as they are.
    index : {"auto", "exact", "flat", "faiss"}
        What `locate` looks in: all windows ("exact"), or candidates that the indexed windows give, found by comparing
        them all ("flat") or by an approximate index (needs the extra tsrec[faiss]). "auto" is exact without an encoder,
        else flat. Without an encoder, comparing all windows was ten times as fast at a million
        samples, and found more.
    verify : {"auto", "mass", "dtw"} or None
        Whether candidates are compared sample by sample, row by row around them ("mass"), and the best of them then
        measured by dynamic time warping ("dtw"), or the indexed windows are the answer, by the distances of their
        vectors (None). "auto" is None with an encoder, else "mass".
    n_candidates : int
        How many candidates are looked up, and measured by warping.
    band : float
        Greatest shift in warping, as a share of the query's length.
    exclusion : float
        Share of an answer's length that two answers in one series are apart at least.
    resample : str, optional
        Length of the even steps, "5s" for example, that series with irregular times are brought to, and queries alike:
        each has the mean of its samples; up to three in a row without any are filled in on straight lines, more are
        missing. They begin at multiples of their length since 1970 (in UTC). Irregular times are refused when omitted.
    store : "memory" or path
        Where series and windows are kept: in memory, or in a folder, which is made, may be larger than memory, and
        survives a crash: what `fit` and `partial_fit` have taken in is there when they return. Needs the extra
        tsrec[store].
    carry_state : bool
        Whether an encoder that can (LSSL, TCNCA, Mamba) goes through each series once, its state handed on from window
        to window: several times as fast, but a query, before which nothing came, may miss even an equal window, unless
        the encoder soon forgets, as Mamba's does. Else each window is read by itself.
    device : str
        Where vectors are compared: "auto", "cpu", "cuda", "cuda:1" or "mps".
    n_jobs : int, optional
        Threads that compare all windows, in `locate`, `motifs` and `discords`; -1 for all cores. One when omitted,
        unless ``joblib.parallel_config`` says otherwise. Answers are the same for any number.
    verbose : int
        1 shows progress bars: over the rows that windows are made of, and over the pairs that `motifs` and `discords`
        compare; 0 is silent. A folder does not tell it.

    Attributes
    ----------
    n_series_ : int
        Series that are searched.
    lengths_ : Series
        Rows of each.
    spans_ : DataFrame
        When each begins and ends (excluded), and its rows.
    channels_ : Index
        Names of their channels.
    scales_ : list of int
        Lengths of the windows that are indexed by now.
    windows_ : DataFrame
        The indexed windows: series, start, end (excluded), scale.
    n_skipped_ : int
        Windows that are not indexed, as samples are missing.
    metadata_ : DataFrame or None
        What is known of each series.

    References
    ----------
    Mueen et al. (2017), The fastest similarity search algorithm for time series subsequences under Euclidean distance
    (MASS). Agrawal, Faloutsos and Swami (1993), Efficient similarity search in sequence databases.

    Examples
    --------
    >>> index = pd.date_range("2026-01-01", periods=500, freq="h")
    >>> series = pd.Series(np.random.default_rng(0).standard_normal(500), index, name="load")
    >>> found = SubsequenceRetriever(n_neighbors=1).fit(series).locate(series[100:150] * 3 + 20)
    >>> found.loc[0, ["start", "end"]].tolist()
    [Timestamp('2026-01-05 04:00:00'), Timestamp('2026-01-07 06:00:00')]
    """

    def __init__(
        self,
        *,
        n_neighbors: int = 5,
        encoder: Any = "auto",
        scales: Sequence[int] = (64, 256, 1024),
        stride: float = 0.25,
        metric: str = "znorm",
        index: str = "auto",
        verify: str | None = "auto",
        n_candidates: int = 200,
        band: float = 0.1,
        exclusion: float = 0.5,
        resample: str | None = None,
        store: Any = "memory",
        carry_state: bool = False,
        device: str = "cpu",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.encoder = encoder
        self.scales = scales
        self.stride = stride
        self.metric = metric
        self.index = index
        self.verify = verify
        self.n_candidates = n_candidates
        self.band = band
        self.exclusion = exclusion
        self.resample = resample
        self.store = store
        self.carry_state = carry_state
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, *, metadata: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Take in the series.

        Parameters
        ----------
        X : Series, frame, panel, dict, list, array or iterator
            One series with an index of times (or none), a panel with the index (series, time), a dict or list of
            series, or an array (n_series, n_times) or (n_series, n_channels, n_times); an iterator gives such parts,
            each taken in as by `partial_fit`.
        y : None
            Not used.
        metadata : DataFrame or dict, optional
            A row for each series, indexed by its name, by which questions may choose series.

        Returns
        -------
        self
        """
        self._check_parameters()
        chunks = X if isinstance(X, Iterator) else iter([X])
        first = next(chunks, None)
        if first is None:
            raise ValueError("X: the iterator gave nothing. Give at least one series.")
        self._begin(self._read(first, reset=True), metadata)
        for chunk in chunks:
            self.partial_fit(chunk, metadata=metadata)
        return self

    def partial_fit(self, X: Any, y: Any = None, *, metadata: Any = None) -> Self:
        """Take in more series, or more rows of known ones, which go on where those so far end.

        Parameters
        ----------
        X : Series, frame, panel, dict, list or array
            As in `fit`. Series of a panel or dict are known by their names, a recording without one goes on; those of
            lists and arrays are new.
        y : None
            Not used.
        metadata : DataFrame or dict, optional
            A row for each new series, where the others have some.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If rows are missing between what is known and what comes, or are known already. With `resample` missing
            steps are no error (and stay missing, however few), but the rows are to be cut where a step begins.
        """
        if not self.__sklearn_is_fitted__():
            return self.fit(X, y, metadata=metadata)
        self._check_writable()
        check_verbose(self)
        more = self._read(X, reset=False)
        if self._contents.has_windows:
            self._windows_of_all()
        self._contents.extend(more, metadata, self.verbose)
        self._contents.commit()
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there are series to search."""
        return hasattr(self, "_contents")

    def __sklearn_tags__(self) -> Tags:
        """Arrays may be (series, channel, time)."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def locate(
        self,
        Q: Any,
        *,
        k: int | None = None,
        max_distance: float | None = None,
        where: Any = None,
        time_range: tuple[Any, Any] | None = None,
        channels: Sequence[Any] | None = None,
        scales: Sequence[int] | None = None,
        warp: bool | Sequence[float] = False,
        exclude_self: bool = False,
    ) -> pd.DataFrame:
        """Find the intervals nearest to a query.

        Parameters
        ----------
        Q : Series, frame, panel, dict, list or array
            One query or many, of any lengths, given like the series; an array (n_times,) is one query.
        k : int, optional
            How many intervals at most; `n_neighbors` when omitted.
        max_distance : float, optional
            Greatest distance.
        where : list of names, dict or callable, optional
            Names of the series to search; or values, or lists of them, by columns of the metadata or by levels of the
            names (``{"subject": 3}`` in a panel with the index (subject, trial, time)); or a function of the metadata
            that gives a truth value for each row. All series when omitted.
        time_range : (start, end), optional
            Only intervals within these times, the end excluded; either may be None.
        channels : list, optional
            Names of the channels to compare: of columns of the query, or one for each of its columns, if these have no
            such names. All of the query when omitted. Fewer than all of the series are always searched exactly.
        scales : list of int, optional
            Lengths of the indexed windows to look in, some of ``scales_``; all when omitted. Where windows are the
            answer, those of the length nearest to the query's are; where they give candidates, those of the two longest
            that are no longer than it, and all windows are compared if there is none. Refused where no indexed windows
            are looked in, as by ``index="exact"``.
        warp : bool or sequence of float, default False
            Whether intervals that are shorter or longer are found too: lengths as shares of the query's; 0.8 to 1.25 in
            seven steps when True. Distances are as of the query's length.
        exclude_self : bool, default False
            Whether an interval at the query's own time, in the series of its name (or the only one), is no answer: for
            a query cut from the series themselves.

        Returns
        -------
        DataFrame
            A row per interval, nearest first within each query: query, rank, series, start, end (excluded), score from
            0 to 1 (half of 1 plus the mean correlation, of samples or of vectors, constant windows having a half with
            others; with ``metric="euclidean"`` 1 over 1 plus the square of the distance, as a share of that of the
            query to its own mean), distance, verified (by samples).
            None for a query longer than every series.

        Raises
        ------
        ValueError
            If the query has missing values or other channels.
        """
        check_is_fitted(self)
        self._check_parameters()
        contents = self._contents
        given = self._read_queries(Q)
        own = own_rows(given, contents) if exclude_self else None
        queries, channels = asked_channels(given.panel, channels)
        check_queries(given, contents.times)
        kept = None if where is None else named_series(where, contents.labels, contents.metadata)
        asked = Asked(
            picked_channels(queries, self.channels_, channels),
            whole_number(self.n_neighbors if k is None else k, "k"),
            self.exclusion,
            distance_limit(max_distance),
            *open_rows(contents.times, contents.corpus.lengths, kept, time_range),
            raw=self.metric == "euclidean",
            n_jobs=effective_n_jobs(self.n_jobs),
            scales=picked_scales(scales, self.scales_),
        )
        search, factors = self._search(asked), warp_factors(warp)
        search = search if factors is None else partial(stretched, search, factors=factors)
        answers = []
        for number in range(queries.n_series):
            query = queries.values[queries.offsets[number] : queries.offsets[number + 1]]
            if np.isnan(query).any():
                raise ValueError(
                    f"Q: query {label_at(queries.labels, number)!r} has missing values. Fill them, or give a stretch "
                    "without them."
                )
            found = without_own(search, query, asked._replace(own=None if own is None else own[number]))
            answers.append((found, scores(query, found, asked)))
        return self._frame(queries.labels, answers)

    def _frame(self, names: pd.Index, answers: list[tuple[Found, np.ndarray]]) -> pd.DataFrame:
        """Answers to each of many queries as users see them."""
        contents, every = self._contents, [found for found, _ in answers]
        counts = [len(found.rows) for found in every]
        series, rows, distance, length = (
            np.concatenate([np.asarray(found[field]) for found in every]) for field in range(4)
        )
        return pd.DataFrame(
            {
                "query": names.repeat(counts),
                "rank": np.concatenate([np.arange(count) for count in counts]),
                "series": contents.labels[series],
                "start": contents.times.at(series, rows),
                "end": contents.times.at(series, rows + length),
                "score": np.concatenate([score for _, score in answers]),
                "distance": distance,
                "verified": np.repeat([found.verified for found in every], counts),
            }
        )

    def _search(self, asked: Asked) -> Search:
        """How answers are found: every window compared, or candidates looked up; measured by warping, or not."""
        learned, corpus = not self._is_untrained(), self._contents.corpus
        index = ("flat" if learned else "exact") if self.index == "auto" else self.index
        verify = (None if learned else "mass") if self.verify == "auto" else self.verify
        search: Search = partial(search_all, corpus)
        if index != "exact" and len(asked.picked) == len(self.channels_):
            of_windows = search_windows if verify is None else search_candidates
            search = partial(of_windows, corpus, self._windows_of_all(), n_candidates=self.n_candidates)
        elif asked.scales is not None:
            why = "the search is exact" if index == "exact" else "as always with fewer channels than all"
            raise ValueError(
                f"scales: found {asked.scales}, but all windows are compared ({why}), not those that are indexed. "
                "Leave it out, or look in the index: index='flat', and all channels."
            )
        if verify == "dtw":
            if asked.raw:
                raise ValueError("metric: found 'euclidean', but warping compares z-normalised. Give verify='mass'.")
            return partial(reranked, search, corpus=corpus, n_candidates=self.n_candidates, band=self.band)
        return search

    def _check_parameters(self) -> None:
        check_retriever(self)
