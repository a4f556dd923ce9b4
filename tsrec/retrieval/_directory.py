"""A store in a folder, which may be larger than memory and survives a crash at any moment."""

import contextlib
import json
import os
import re
import weakref
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np

from tsrec.retrieval import _files
from tsrec.retrieval._raw import RawFile
from tsrec.retrieval._segments import Segments
from tsrec.retrieval._store import Columns, Store, as_dtype, as_rows, plain, refuse_taken, unknown

FORMAT = 1
_MANIFEST, _LOCK = "manifest.json", "lock"
_OURS = re.compile(r".+-\d{6,}\.(raw|parquet)|.+\.part")


class Directory(Store):
    """Arrays, tables and a state in a folder; made by `make` or `open`.

    The folder holds ``manifest.json``, which says what counts; the rows of an array side by side in a ``.raw`` file,
    little-endian, that only grows; those of a table in ``.parquet`` files that are never changed. `commit` syncs what
    was appended and then renames a new manifest over the old one. Files that it no longer names are deleted after that;
    what a crash has left beyond the manifest is removed when the folder is opened for writing.

    One object at a time may write. Readers need no lock: they see what was committed when they opened. After an error
    while writing the object refuses to go on, and the folder, opened again, is as it was at the last commit.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self.state: dict[str, Any] = {}
        self._serial = 0
        self._arrays: dict[str, RawFile] = {}
        self._segments: dict[str, Segments] = {}
        self._doomed: list[str] = []
        self._unlock: weakref.finalize | None = None
        self._end = ""

    @classmethod
    def make(cls, path: str | os.PathLike, *, overwrite: bool = False) -> "Directory":
        """Make an empty store, open for writing.

        Parameters
        ----------
        path : path
            A folder that is empty or not there yet.
        overwrite : bool, default False
            Whether it may hold a store, which the first commit replaces, all at once.

        Returns
        -------
        Directory

        Raises
        ------
        FileExistsError
            If the folder holds other files, or a store that is not to be replaced.
        BlockingIOError
            If the store is open for writing.
        """
        made = cls(path)
        made.path.mkdir(parents=True, exist_ok=True)
        found = {file.name for file in made.path.iterdir()} - {_LOCK, _MANIFEST + _files.PART}
        if found and (not overwrite or _MANIFEST not in found):
            mend = "Take another folder." if _MANIFEST not in found else "Load it, or save with overwrite=True."
            raise FileExistsError(f"path: {os.fspath(path)!r} holds {min(found)!r} already. {mend}")
        made._acquire()
        if found:
            old = cls(path)
            old._read(made._manifest().read_bytes())
            old._tidy()
            made._serial, made._doomed = old._serial, old._files()
        else:
            _files.sync(made.path.parent)
            made.commit()
        return made

    @classmethod
    def open(cls, path: str | os.PathLike, mode: Literal["r", "a"] = "r", *, verify: bool = False) -> "Directory":
        """Open a store as its last commit left it.

        Parameters
        ----------
        path : path
            Its folder.
        mode : {"r", "a"}, default "r"
            To read, or to append too.
        verify : bool, default False
            Whether to read everything and compare checksums; sizes are compared in any case.

        Returns
        -------
        Directory

        Raises
        ------
        FileNotFoundError
            If there is no store.
        ValueError
            If it is of a newer format, or files are missing, too short, or (with ``verify``) changed.
        BlockingIOError
            If it is to be written and is open for writing already.
        """
        if mode not in ("r", "a"):
            raise ValueError(f"mode: found {mode!r}. Give 'r' or 'a'.")
        if not (Path(path) / _MANIFEST).is_file():
            raise FileNotFoundError(
                f"path: there is no {_MANIFEST} in {os.fspath(path)!r}. Give the folder of a store."
            )
        made = cls(path)
        with contextlib.ExitStack() as stack:
            stack.callback(made.close)
            if mode == "a":
                made._acquire()
            made._load(verify=verify)
            if mode == "a":
                made._tidy()
            stack.pop_all()
        return made

    def __getstate__(self) -> dict[str, Any]:
        """What is copied or pickled: all but the right to write."""
        return {**vars(self), "_unlock": None}

    def __enter__(self) -> "Directory":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others write; what was not committed is lost. The object is of no use any more."""
        self._end = self._end or "it is closed"
        if self._unlock is not None:
            self._unlock()

    def names(self) -> list[str]:
        """Names of the arrays."""
        return list(self._arrays)

    def tables(self) -> list[str]:
        """Names of the tables."""
        return list(self._segments)

    def create(self, name: str, dtype: Any, row_shape: tuple[int, ...] = ()) -> None:
        """Make an array without rows; see `Store.create`."""
        self._check(writing=True)
        refuse_taken(name, self.names() + self.tables())
        self._arrays[name] = RawFile(self.path / self._new_file(name, "raw"), as_dtype(dtype), tuple(row_shape))

    def append(self, name: str, rows: Any) -> None:
        """Put rows at the end of an array; see `Store.append`."""
        self._check(writing=True)
        file = self._array(name)
        more = as_rows(rows, file.dtype, file.row_shape, name)
        with self._writing():
            file.append(more)

    def array(self, name: str) -> np.ndarray:
        """All rows of an array, mapped into memory and read-only."""
        self._check()
        return self._array(name).view()

    def drop(self, name: str) -> None:
        """Have an array no longer; see `Store.drop`."""
        self._check(writing=True)
        self._doomed.append(self._array(name).path.name)
        del self._arrays[name]

    def append_table(self, name: str, columns: Mapping[str, np.ndarray]) -> None:
        """Put rows at the end of a table; see `Store.append_table`. They are written by `commit`."""
        self._check(writing=True)
        refuse_taken(name, self.names())
        table = self._segments.get(name) or Segments(self.path, name)
        table.append(columns)
        self._segments[name] = table

    def table(self, name: str) -> Columns:
        """All rows of a table, read from its files each time."""
        self._check()
        if name not in self._segments:
            raise unknown(name, self.tables())
        return self._segments[name].read()

    def commit(self, state: Mapping[str, Any] | None = None) -> None:
        """Keep for good what was appended, and the state; see `Store.commit`."""
        self._check(writing=True)
        after = plain(self.state if state is None else state)
        with self._writing():
            self._commit(after)

    def rewrite(
        self,
        keep: Mapping[str, np.ndarray],
        *,
        replace: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """Forget rows; see `Store.rewrite`. New files are written beside the old ones, which are deleted in the end."""
        self._check(writing=True)
        after = plain(self.state if state is None else state)
        changes = self._rewritten(keep, replace or {})
        with self._writing():
            for name, parts in changes.items():
                new: RawFile | Segments
                if name in self._arrays:
                    old = self._arrays[name]
                    self._doomed.append(old.path.name)
                    file = self.path / self._new_file(name, "raw")
                    new = self._arrays[name] = RawFile(file, old.dtype, old.row_shape)
                else:
                    self._doomed += self._segments[name].files()
                    new = self._segments[name] = Segments(self.path, name)
                for part in parts:
                    new.append(part)
            self._commit(after)

    def _commit(self, state: dict[str, Any]) -> None:
        for array in self._arrays.values():
            array.sync()
        fresh = any(array.is_new for array in self._arrays.values())
        for name, table in self._segments.items():
            before = table.files()
            self._doomed += table.flush(partial(self._new_file, name, "parquet"))
            fresh |= table.files() != before
        if fresh:
            _files.sync(self.path)
        _files.switch(self._manifest(), self._written(state))
        self.state = state
        for array in self._arrays.values():
            array.is_new = False
        for file in self._doomed:
            with contextlib.suppress(OSError):  # the next one to open for writing removes it
                (self.path / file).unlink()
        self._doomed = []

    def _written(self, state: dict[str, Any]) -> bytes:
        content = {
            "format": FORMAT,
            "version": version("tsrec"),
            "serial": self._serial,
            "state": state,
            "arrays": {name: file.entry() for name, file in self._arrays.items()},
            "tables": {name: table.entry() for name, table in self._segments.items()},
        }
        return json.dumps(content).encode()

    def _load(self, *, verify: bool) -> None:
        """Read the manifest and check what it names, again if a writer has replaced it meanwhile."""
        while True:
            content = self._manifest().read_bytes()
            self._read(content)
            parts: list[RawFile | Segments] = [*self._arrays.values(), *self._segments.values()]
            fault = next((found for one in parts if (found := one.check(verify=verify))), None)
            if fault is None:
                return
            if self._manifest().read_bytes() == content:
                where = os.fspath(self.path)
                raise ValueError(f"path: in {where!r} {fault}. Restore it from a copy, or build the store anew.")

    def _read(self, content: bytes) -> None:
        where = os.fspath(self._manifest())
        try:
            read = json.loads(content)
            number = read["format"]
            if number > FORMAT:
                raise ValueError(
                    f"path: {where!r} has format {number}, written by tsrec {read['version']}; this is "
                    f"{version('tsrec')}, which reads up to {FORMAT}. Update tsrec."
                )
            self.state, self._serial = read["state"], read["serial"]
            self._arrays = {name: RawFile.of(self.path, entry) for name, entry in read["arrays"].items()}
            self._segments = {name: Segments.of(self.path, name, entry) for name, entry in read["tables"].items()}
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"path: {where!r} is no manifest ({err!r}). Restore it from a copy of the store.") from err

    def _tidy(self) -> None:
        """Remove what a crash has left beyond the manifest."""
        for file in self._arrays.values():
            file.cut()
        named = set(self._files())
        for path in self.path.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in named:
                path.unlink()

    def _files(self) -> list[str]:
        tables = [file for table in self._segments.values() for file in table.files()]
        return [file.path.name for file in self._arrays.values()] + tables

    def _manifest(self) -> Path:
        return self.path / _MANIFEST

    def _new_file(self, name: str, kind: str) -> str:
        """A name that no file has had, in letters that every file system takes."""
        self._serial += 1
        return f"{quote(name, safe='')[:100]}-{self._serial:06d}.{kind}"

    def _array(self, name: str) -> RawFile:
        if name not in self._arrays:
            raise unknown(name, self.names())
        return self._arrays[name]

    def _acquire(self) -> None:
        self._unlock = weakref.finalize(self, os.close, _files.lock(self.path / _LOCK))

    def _check(self, *, writing: bool = False) -> None:
        if self._end:
            raise RuntimeError(f"The store in {os.fspath(self.path)!r} cannot be used: {self._end}. Open it again.")
        if writing and self._unlock is None:
            raise ValueError("mode: the store was opened to read. Open it with mode='a'.")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """After an error nobody knows what is on the disk but the last commit: be of no use from then on."""
        try:
            yield
        except BaseException as err:
            self._end = f"writing failed ({err!r}), and what was not committed is lost"
            self.close()
            raise
