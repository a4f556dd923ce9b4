"""The rows of a table in parquet files, each written once; small ones are merged, as in a log-structured merge tree."""

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tsrec.retrieval import _files
from tsrec.retrieval._store import Columns, as_columns, widened

# So many files of about one size become one. Sizes are told apart by powers of 32.
_FAN = 32


class Segments:
    """A table: files in the order of their rows, and what is not yet in one.

    Attributes
    ----------
    dtypes : dict of numpy dtypes, or None
        Of the columns, once there are some.
    segments : list of dict
        File, rows, bytes and CRC-32 of each.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.dtypes: dict[str, np.dtype] | None = None
        self.segments: list[dict[str, Any]] = []
        self._pending: list[Columns] = []

    @classmethod
    def of(cls, folder: Path, name: str, entry: dict[str, Any]) -> "Segments":
        """The table that an entry of a manifest describes."""
        made = cls(folder, name)
        made.dtypes = {key: np.dtype(dtype) for key, dtype in entry["columns"]}
        made.segments = [dict(one) for one in entry["segments"]]
        return made

    def entry(self) -> dict[str, Any]:
        """What a manifest has to know."""
        return {"columns": [[key, dtype.str] for key, dtype in (self.dtypes or {}).items()], "segments": self.segments}

    def files(self) -> list[str]:
        """Names of the files."""
        return [one["file"] for one in self.segments]

    def append(self, columns: Mapping[str, Any]) -> None:
        """Take rows; they are written by `flush`."""
        more = as_columns(columns, self.dtypes, self.name)
        self.dtypes = widened(self.dtypes, more)
        self._pending.append(more)

    def read(self) -> Columns:
        """All rows."""
        return self._joined([_read(self.folder / file) for file in self.files()] + self._pending)

    def flush(self, new_name: Callable[[], str]) -> list[str]:
        """Write what is pending, merge what is small, and tell which files are no longer needed."""
        if any(len(next(iter(part.values()))) for part in self._pending):
            self.segments.append(self._write(new_name(), self._joined(self._pending)))
        self._pending = []
        stale: list[str] = []
        while tail := self._too_many():
            files = [one["file"] for one in self.segments[-tail:]]
            whole = self._write(new_name(), self._joined([_read(self.folder / file) for file in files]))
            self.segments[-tail:] = [whole]
            stale += files
        return stale

    def check(self, *, verify: bool) -> str | None:
        """What is wrong with the files, if something is."""
        for one in self.segments:
            path = self.folder / one["file"]
            if fault := _files.too_short(path, one["size"]):
                return fault
            if verify and _files.checksum(path, 0, one["size"]) != one["checksum"]:
                return f"{path.name!r} is not as it was written"
        return None

    def _joined(self, parts: list[Columns]) -> Columns:
        """Columns one after another, in the dtypes of the table."""
        return {
            key: np.concatenate([np.empty(0, dtype), *(part[key].astype(dtype, copy=False) for part in parts)])
            for key, dtype in (self.dtypes or {}).items()
        }

    def _too_many(self) -> int:
        """How many of the last files are to be merged: those up to a size, if there are enough of them."""
        levels = [(one["rows"].bit_length() - 1) // 5 for one in reversed(self.segments)]
        for level in sorted(set(levels)):
            tail = next((i for i, one in enumerate(levels) if one > level), len(levels))
            if tail >= _FAN:
                return tail
        return 0

    def _write(self, file: str, columns: Columns) -> dict[str, Any]:
        pa, pq = _arrow()
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({key: pa.array(values) for key, values in columns.items()}), sink)
        content = sink.getvalue()
        _files.write(self.folder / file, content)
        rows = len(next(iter(columns.values())))
        return {"file": file, "rows": rows, "size": content.size, "checksum": zlib.crc32(content)}


def _read(path: Path) -> Columns:
    pa, pq = _arrow()
    try:
        with pq.ParquetFile(path) as file:
            found = file.read(use_threads=False)
    except FileNotFoundError as err:
        raise ValueError(f"path: {path.name!r} is gone: the store was rewritten meanwhile. Open it again.") from err
    except (pa.ArrowInvalid, OSError) as err:
        raise ValueError(f"path: {path.name!r} cannot be read ({err}). Restore it from a copy of the store.") from err
    return {key: column.to_numpy() for key, column in zip(found.column_names, found.columns, strict=True)}


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as err:
        raise ImportError("Tables on disk need pyarrow. Install it with: pip install 'tsrec[store]'") from err
    return pa, pq
