"""A store in memory."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tsrec.retrieval._store import (
    Columns,
    Store,
    as_columns,
    as_dtype,
    as_rows,
    plain,
    refuse_taken,
    unknown,
    widened,
)


class Memory(Store):
    """Arrays, tables and a state in memory.

    An array keeps room for as many rows again, which takes no memory until they come, so that rows appended one by one
    are copied twice on average. Arrays that were handed out stay as they are when others are appended.

    Examples
    --------
    >>> store = Memory()
    >>> store.create("values", "f4", (2,))
    >>> store.append("values", [[1.0, 2.0], [3.0, 4.0]])
    >>> store.array("values").shape
    (2, 2)
    """

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self._room: dict[str, np.ndarray] = {}
        self._used: dict[str, int] = {}
        self._tables: dict[str, list[Columns]] = {}
        self._dtypes: dict[str, dict[str, np.dtype]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """What is copied or pickled: no room that is not used."""
        return {**vars(self), "_room": {name: rows[: self._used[name]] for name, rows in self._room.items()}}

    def names(self) -> list[str]:
        """Names of the arrays."""
        return list(self._room)

    def tables(self) -> list[str]:
        """Names of the tables."""
        return list(self._tables)

    def create(self, name: str, dtype: Any, row_shape: tuple[int, ...] = ()) -> None:
        """Make an array without rows; see `Store.create`."""
        refuse_taken(name, self.names() + self.tables())
        self._room[name] = np.empty((0, *row_shape), as_dtype(dtype))
        self._used[name] = 0

    def append(self, name: str, rows: Any) -> None:
        """Put rows at the end of an array; see `Store.append`."""
        if name not in self._room:
            raise unknown(name, self.names())
        room, used = self._room[name], self._used[name]
        more = as_rows(rows, room.dtype, room.shape[1:], name)
        if used + len(more) > len(room):
            wider = np.empty((2 * (used + len(more)), *room.shape[1:]), room.dtype)
            wider[:used] = room[:used]
            self._room[name] = room = wider
        room[used : used + len(more)] = more
        self._used[name] = used + len(more)

    def array(self, name: str) -> np.ndarray:
        """All rows of an array, read-only."""
        if name not in self._room:
            raise unknown(name, self.names())
        rows = self._room[name][: self._used[name]]
        rows.flags.writeable = False
        return rows

    def drop(self, name: str) -> None:
        """Have an array no longer."""
        if name not in self._room:
            raise unknown(name, self.names())
        del self._room[name], self._used[name]

    def append_table(self, name: str, columns: Mapping[str, np.ndarray]) -> None:
        """Put rows at the end of a table; see `Store.append_table`."""
        refuse_taken(name, self.names())
        known = self._dtypes.get(name)
        more = as_columns(columns, known, name)
        self._dtypes[name] = widened(known, more)
        self._tables.setdefault(name, []).append(more)

    def table(self, name: str) -> Columns:
        """All rows of a table."""
        if name not in self._tables:
            raise unknown(name, self.tables())
        parts = self._tables[name]
        whole = {key: np.concatenate([part[key] for part in parts]) for key in self._dtypes[name]}
        self._tables[name] = [whole]
        return {key: values.copy() for key, values in whole.items()}

    def commit(self, state: Mapping[str, Any] | None = None) -> None:
        """Replace the state, if one is given; what is in memory needs nothing else."""
        self.state = plain(self.state if state is None else state)

    def rewrite(
        self,
        keep: Mapping[str, np.ndarray],
        *,
        replace: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """Forget rows; see `Store.rewrite`."""
        after = plain(self.state if state is None else state)
        for name, parts in self._rewritten(keep, replace or {}).items():
            if name in self._tables:
                self._tables[name] = list(parts)
                self._dtypes[name] = widened(None, self._tables[name][0])
            else:
                self._room[name] = np.concatenate([self._room[name][:0], *parts])
                self._used[name] = len(self._room[name])
        self.state = after
