"""The rows of an array side by side in one file that grows at its end."""

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tsrec.retrieval import _files

# Bytes after which another checksum begins, so that damage can be placed.
_STRETCH = 1 << 26


class RawFile:
    """Rows of one dtype and shape in a file, of which a manifest says how many count.

    Attributes
    ----------
    rows : int
        How many there are.
    stretches : list of [first, rows, checksum]
        CRC-32 of the bytes of some rows each, all rows in all.
    is_new : bool
        Whether the folder has not been synced since the file was made.
    """

    def __init__(self, path: Path, dtype: np.dtype, row_shape: tuple[int, ...]) -> None:
        self.path, self.dtype, self.row_shape = path, dtype, row_shape
        self.row_bytes = dtype.itemsize * int(np.prod(row_shape))
        self.rows = 0
        self.stretches: list[list[int]] = []
        self.is_new = self._dirty = False
        self._view: np.ndarray | None = None

    @classmethod
    def of(cls, folder: Path, entry: dict[str, Any]) -> "RawFile":
        """The file that an entry of a manifest describes."""
        made = cls(folder / entry["file"], np.dtype(entry["dtype"]), tuple(entry["row_shape"]))
        made.rows, made.stretches = entry["rows"], [list(stretch) for stretch in entry["stretches"]]
        return made

    def entry(self) -> dict[str, Any]:
        """What a manifest has to know."""
        return {
            "file": self.path.name,
            "dtype": self.dtype.str,
            "row_shape": list(self.row_shape),
            "rows": self.rows,
            "stretches": self.stretches,
        }

    def __getstate__(self) -> dict[str, Any]:
        """What is copied or pickled: the rows stay in the file."""
        return {**vars(self), "_view": None}

    def append(self, rows: np.ndarray) -> None:
        """Write contiguous rows of this dtype behind the others."""
        if not rows.size:
            self.rows += len(rows)
            return
        content = rows.reshape(-1).view(np.uint8).data
        exists = self.path.exists()
        self.is_new |= not exists
        with open(self.path, "r+b" if exists else "xb") as file:
            file.seek(self.rows * self.row_bytes)
            self._dirty = True
            file.write(content)
        if not self.stretches or self.stretches[-1][1] * self.row_bytes >= _STRETCH:
            self.stretches.append([self.rows, 0, 0])
        last = self.stretches[-1]
        last[1], last[2] = last[1] + len(rows), zlib.crc32(content, last[2])
        self.rows += len(rows)

    def view(self) -> np.ndarray:
        """All rows, mapped and read-only."""
        if self._view is None or len(self._view) != self.rows:
            shape = (self.rows, *self.row_shape)
            if self.rows * self.row_bytes:
                self._view = self._mapped(shape)
            else:
                self._view = np.empty(shape, self.dtype)
                self._view.flags.writeable = False
        return self._view

    def _mapped(self, shape: tuple[int, ...]) -> np.ndarray:
        try:
            return np.memmap(self.path, self.dtype, "r", shape=shape)
        except FileNotFoundError as err:
            where = os.fspath(self.path)
            raise FileNotFoundError(f"path: {where!r} is gone: moved, or rewritten meanwhile. Open it again.") from err

    def sync(self) -> None:
        """Have the disk hold what was appended."""
        if self._dirty:
            _files.sync(self.path)
            self._dirty = False

    def check(self, *, verify: bool) -> str | None:
        """What is wrong with the file, if something is."""
        if fault := _files.too_short(self.path, self.rows * self.row_bytes):
            return fault
        try:
            self.view()  # a reader holds it from here on, though a writer may delete it
        except FileNotFoundError:
            return f"{self.path.name!r} is missing"
        for first, rows, total in self.stretches if verify else ():
            if _files.checksum(self.path, first * self.row_bytes, rows * self.row_bytes) != total:
                return f"{self.path.name!r} is not as it was written, from row {first} to {first + rows}"
        return None

    def cut(self) -> None:
        """Remove what is beyond the rows."""
        size = self.rows * self.row_bytes
        if self.path.exists() and self.path.stat().st_size > size:
            with open(self.path, "r+b") as file:
                file.truncate(size)
