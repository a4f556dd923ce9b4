"""Retrievers that outlive the process: a folder with all they hold, written as they grow or at once."""

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, Self
from uuid import uuid4

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from tsrec.retrieval._asked import named_series, read_metadata
from tsrec.retrieval._catalog import catalogued, check_storable
from tsrec.retrieval._contents import Contents
from tsrec.retrieval._directory import Directory
from tsrec.retrieval._encode import learned_embedding
from tsrec.retrieval._faiss import FaissIndex
from tsrec.retrieval._given import GivenSeries
from tsrec.retrieval._index import VectorIndex
from tsrec.retrieval._known import Known, fingerprint
from tsrec.retrieval._memory import Memory
from tsrec.retrieval._read import Series
from tsrec.retrieval._store import Store
from tsrec.retrieval._windows import Embedding, Fourier, Windows
from tsrec.training import resolve_device


class StoredSeries(GivenSeries):
    """Base of retrievers: where their contents are kept, and how they are read, saved, loaded and forgotten."""

    store: Any
    encoder: Any
    scales: Sequence[int]
    stride: float
    index: str
    device: str
    verbose: int
    # The encoder whose vectors are indexed.
    _known: Known
    # Where an index of another kind than the flat one was saved.
    _index_at: Path | None = None

    @property
    def scales_(self) -> list[int]:
        """Lengths of the windows that are indexed by now; others wait for a series that is as long."""
        return self._contents.scales

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Write series, windows and parameters to a folder.

        An encoder is not written: save it with ``tsrec.save``, and give it to `load`.

        Parameters
        ----------
        path : path
            A folder that is empty or not there yet.
        overwrite : bool, default False
            Whether it may hold a retriever, which is replaced once all is written.

        Raises
        ------
        FileExistsError
            If the folder holds something.
        TypeError
            If names of series, metadata, or the time zone would not come back as they are.
        ImportError
            If pyarrow is missing (the extra tsrec[store]).
        """
        check_is_fitted(self)
        own = self._contents
        check_storable(own.labels if own.named else None, own.metadata, zone=own.times.grid.tz)
        with Directory.make(path, overwrite=overwrite) as target:
            # An index of its own kind lies in folders that the manifest names, so that none is taken for another.
            name = f"{_INDEX}-{uuid4().hex}"
            if own.windows is not None:
                own.windows.save_index(Path(path) / name)
            own.saved(target, {**self._record(), _INDEX: name})
        for folder in Path(path).glob(f"{_INDEX}-*"):
            if not folder.name.startswith(name):
                shutil.rmtree(folder)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,
        *,
        encoder: Any = "auto",
        mode: Literal["memory", "r", "a"] = "memory",
        verify: bool = False,
        reindex: bool = False,
    ) -> Self:
        """Read a retriever that `save` wrote, or that was fitted with this folder as its store.

        Parameters
        ----------
        path : path
            The folder.
        encoder : "auto" or fitted encoder, default "auto"
            The encoder it was fitted with, bare or in scikit-learn's FrozenEstimator.
        mode : {"memory", "r", "a"}, default "memory"
            Whether all is read into memory, and no longer has to do with the folder; or stays there, mapped, to be
            read, or to be added to.
        verify : bool, default False
            Whether checksums are compared, for which everything is read.
        reindex : bool, default False
            Whether another encoder is taken too, with which all windows are then made anew, as by `reindex`.

        Returns
        -------
        estimator

        Raises
        ------
        FileNotFoundError
            If there is no retriever.
        ValueError
            If the encoder is another, or files are damaged; the message names them.
        BlockingIOError
            If it is to be added to, and another process does so.
        """
        if mode not in ("memory", "r", "a"):
            raise ValueError(f"mode: found {mode!r}. Give 'memory', 'r' or 'a'.")
        with ExitStack() as stack:
            # What cannot be loaded is not held, so that another may.
            opened = Directory.open(path, "a" if mode == "a" else "r", verify=verify)
            stack.callback(opened.close)
            made = cls._loaded(opened, path, encoder, mode, reindex=reindex)
            stack.pop_all()
        return made

    @classmethod
    def _loaded(cls, arrays: Store, path: str | os.PathLike, encoder: Any, mode: str, *, reindex: bool) -> Self:
        state = arrays.state
        if state.get("kind") != cls.__name__:
            raise ValueError(f"path: {os.fspath(path)!r} holds no {cls.__name__}, but {state.get('kind')!r}.")
        changed = state["encoder"] != fingerprint(encoder)
        if changed and not reindex:
            known = "was fitted without one" if state["encoder"] == "auto" else "was fitted with another"
            raise ValueError(
                f"encoder: this retriever {known}. Give encoder= as it was when it was fitted, or reindex=True to make "
                "all windows anew."
            )
        parameters = {name: _as_given(value) for name, value in state["parameters"].items()}
        made = cls(**{**parameters, "encoder": encoder, "store": "memory" if mode == "memory" else os.fspath(path)})
        if mode == "memory":
            copied = Memory()
            arrays.copy_to(copied)
            arrays = copied
        made._contents = Contents(arrays, **catalogued(arrays))
        made._index_at = Path(path) / state[_INDEX] if _INDEX in state else None
        made.n_features_in_ = state["learned"]["n_features_in_"]
        if "feature_names_in_" in state["learned"]:
            made.feature_names_in_ = np.asarray(state["learned"]["feature_names_in_"], dtype=object)
        made.channels_ = made._contents.channels
        made._known = Known(encoder, state["encoder"])
        made._contents.record = made._record() if mode == "a" else None
        return made.reindex() if changed else made

    def rows(self, series: Any, start: Any = None, end: Any = None) -> pd.DataFrame:
        """Give the rows of a series, as of an interval that was found.

        Parameters
        ----------
        series : label
            Its name, or its number where series have none.
        start, end : time, optional
            From and to, the end excluded; all of it when omitted.

        Returns
        -------
        DataFrame of shape (n_times, n_channels)
            Indexed by the series' own times, a column per channel.

        Raises
        ------
        ValueError
            If there is no such series.
        """
        check_is_fitted(self)
        contents = self._contents
        number = int(named_series([series], contents.labels, None, where="series").argmax())
        low, high, lengths = 0, int(contents.corpus.lengths[number]), contents.corpus.lengths
        if start is not None:
            low = int(contents.times.rows_of(np.array([number]), [start], lengths)[0])
        if end is not None:
            high = max(int(contents.times.rows_of(np.array([number]), [end], lengths)[0]), low)
        index = contents.times.at(np.full(high - low, number), np.arange(low, high))
        return pd.DataFrame(contents.corpus.read(number, low, high), index, self.channels_)

    def forget(self, series: Any = None, *, before: Any = None) -> Self:
        """Drop series, or rows, for good.

        Parameters
        ----------
        series : list of names, a name, dict or callable, optional
            Which series, as ``where`` of `locate`; all, with ``before``.
        before : time, optional
            Only their rows before it.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If nothing says what to forget, or nothing would be left.
        """
        check_is_fitted(self)
        self._check_writable()
        contents = self._contents
        if series is None and before is None:
            raise ValueError("forget: found neither series nor before. Say which series, or rows before which time.")
        chosen = np.ones(len(contents.labels), dtype=bool)
        if series is not None:
            chosen = named_series(series, contents.labels, contents.metadata, where="series")
        lengths = contents.corpus.lengths
        cut = lengths if before is None else contents.times.rows_from(before, lengths)
        cut = np.where(chosen, cut, 0)
        if (cut == lengths).all():
            raise ValueError("forget: nothing would be left. Fit a new retriever instead.")
        self._index_at = None
        contents.forget(cut < lengths, cut)
        self._keep()
        return self

    def reindex(self) -> Self:
        """Make the vectors of all windows anew from the series, once the encoder was fitted again, or replaced.

        A folder is written to. Lengths and stride of the windows stay those of `fit`, while ``carry_state`` is as it
        is now. An EventLocator that was fitted
        on the windows so far is to be fitted again.

        Returns
        -------
        self

        Raises
        ------
        PermissionError
            If it was loaded to be read only.
        """
        check_is_fitted(self)
        self._check_parameters()
        self._check_writable()
        contents = self._contents
        if not self._is_untrained():
            learned_embedding(
                self.encoder, self.channels_, contents.steps, contents.times.hertz, carry=self.carry_state
            )
        self._known, self._index_at = Known(self.encoder), None
        contents.carry = self.carry_state
        if contents.record is not None:
            contents.record = self._record()
        contents.drop_windows()
        self._keep()
        return self

    def _check_parameters(self) -> None:
        raise NotImplementedError

    def _held(self) -> dict[str, Any] | None:
        """All that a fitted retriever holds, for ``tsrec.save``."""
        if not hasattr(self, "_contents"):
            return None
        memory = Memory()
        self._contents.saved(memory, self._record())
        return {
            "arrays": {name: np.asarray(memory.array(name)) for name in memory.names()},
            "tables": {
                name: {key: _texts(column) for key, column in memory.table(name).items()} for name in memory.tables()
            },
            "state": memory.state,
        }

    def _hold(self, held: dict[str, Any]) -> None:
        """Take up what `_held` gave."""
        memory = Memory()
        for name, rows in held["arrays"].items():
            memory.create(name, rows.dtype, rows.shape[1:])
            memory.append(name, rows)
        for name, columns in held["tables"].items():
            memory.append_table(name, {key: np.asarray(column) for key, column in columns.items()})
        memory.commit(held["state"])
        self.store = "memory"
        self._contents = Contents(memory, **catalogued(memory))
        self._known = Known(self.encoder, held["state"]["encoder"])

    def _check_writable(self) -> None:
        contents = self._contents
        if contents.record is None and not isinstance(contents.arrays, Memory):
            raise PermissionError(
                f"store: {os.fspath(self.store)!r} was loaded to be read only. Load it with mode='a' or 'memory'."
            )

    def _steps(self, lengths: np.ndarray) -> dict[int, int]:
        """Rows from one indexed window to the next, by their lengths, of which one is as short as some series."""
        scales = sorted({int(scale) for scale in self.scales})
        if scales[0] > lengths.max():
            scales.insert(0, max(int(np.median(lengths)), 1))
        return {scale: max(round(self.stride * scale), 1) for scale in scales}

    def _new_store(self, given: Series, metadata: pd.DataFrame | None) -> Store:
        """Where what is fitted is to be kept."""
        if isinstance(self.store, str) and self.store == "memory":
            return Memory()
        check_storable(given.panel.ids, metadata, zone=given.times.grid.tz)
        return Directory.make(Path(self.store))

    def _record(self) -> dict[str, Any]:
        """What a store has to know of the retriever, beside what it holds."""
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name not in _APART}
        learned: dict[str, Any] = {"n_features_in_": self.n_features_in_}
        if hasattr(self, "feature_names_in_"):
            learned["feature_names_in_"] = list(self.feature_names_in_)
        return {
            "kind": type(self).__name__,
            "parameters": {name: _plain(value) for name, value in parameters.items()},
            "encoder": self._known.mark,
            "learned": learned,
            **({} if self._index_at is None else {_INDEX: self._index_at.name}),
        }

    def _is_untrained(self) -> bool:
        return isinstance(self.encoder, str)

    def _begin(self, given: Series, metadata: Any) -> None:
        panel, times = given.panel, given.times
        described = None if metadata is None else read_metadata(metadata, panel.labels)
        steps = self._steps(panel.lengths)
        if not self._is_untrained():
            learned_embedding(self.encoder, panel.columns, steps, times.hertz, carry=self.carry_state)
        arrays = self._new_store(given, described)
        self._known = Known(self.encoder)
        self.channels_ = panel.columns
        self._index_at = None
        self._contents = Contents(
            arrays,
            times,
            panel.labels,
            panel.columns,
            named=panel.ids is not None,
            metadata=described,
            steps=steps,
            carry=self.carry_state,
        )
        # Windows are written, too, of what has a record.
        self._contents.record = None if isinstance(arrays, Memory) else self._record()
        self._contents.take_in(panel)
        self._keep()

    def _keep(self) -> None:
        """Commit, with the windows of an encoder; others are made when they are asked for."""
        if not self._is_untrained():
            self._windows_of_all()
        self._contents.commit()

    def _windows_of_all(self) -> Windows:
        if not self._known.is_still(self.encoder):
            raise ValueError(
                "encoder: it is not the one of fit, whose vectors are indexed: it was replaced, or fitted again since. "
                "Make them anew with reindex(), or set it back."
            )
        return self._contents.index(self._indexed, self.verbose)

    def _indexed(self, arrays: Store, steps: dict[int, int]) -> Windows:
        times, device = self._contents.times, resolve_device(self.device)
        if self._is_untrained():
            embedding: Embedding = Fourier(len(self.channels_))
        else:
            embedding = learned_embedding(self.encoder, self.channels_, steps, times.hertz, carry=self._contents.carry)
        engines: dict[str, Any] = {"engine": self._engine, "fresh": FaissIndex} if self.index == "faiss" else {}
        return Windows(arrays, steps, embedding, **engines, device=device)

    def _engine(self, scale: int, n_features: int) -> VectorIndex:
        saved = f"{self._index_at}-{scale}"
        return FaissIndex.load(saved) if Path(saved).is_dir() else FaissIndex(n_features)


# Parameters that folders do not tell, and what they call the index.
_APART, _INDEX = ("encoder", "store", "verbose"), "index"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return [_plain(one) for one in value] if isinstance(value, tuple | list | np.ndarray) else value


def _texts(column: np.ndarray) -> Any:
    return column.tolist() if column.dtype.kind in "UO" else column


def _as_given(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
