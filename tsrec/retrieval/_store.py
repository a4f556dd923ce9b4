"""What a store is: named arrays and tables that grow at their end, and a state; and what may be put into one."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

Columns = dict[str, np.ndarray]

# Bytes read, written or summed at a time.
BLOCK = 1 << 24
_UNITS = {("s", 1), ("ms", 1), ("us", 1), ("ns", 1)}


class Store(ABC):
    """Named arrays and tables that grow at their end, and a state of plain JSON.

    What is appended can be read at once; it is kept for good when `commit` has returned. Arrays and tables that are
    handed out are read-only, and show what was there when they were asked for.

    Attributes
    ----------
    state : dict
        Numbers, text, lists and dicts; what it holds at a commit is kept.
    """

    state: dict[str, Any]

    @abstractmethod
    def names(self) -> list[str]:
        """Names of the arrays, in the order in which they were made."""

    @abstractmethod
    def tables(self) -> list[str]:
        """Names of the tables, in the order in which they were made."""

    @abstractmethod
    def create(self, name: str, dtype: Any, row_shape: tuple[int, ...] = ()) -> None:
        """Make an array without rows.

        Parameters
        ----------
        name : str
            Any text.
        dtype : numpy dtype
            Booleans, numbers, or times.
        row_shape : tuple of int, default ()
            Shape of one row.

        Raises
        ------
        ValueError
            If there is one of this name.
        TypeError
            If the dtype is another.
        """

    @abstractmethod
    def append(self, name: str, rows: Any) -> None:
        """Put rows (n, *row_shape) at the end of an array.

        Raises
        ------
        ValueError
            If there is no such array, or the shape is another, or an integer does not fit.
        TypeError
            If the dtype is of another kind.
        """

    @abstractmethod
    def array(self, name: str) -> np.ndarray:
        """All rows of an array, read-only: (n, *row_shape)."""

    @abstractmethod
    def drop(self, name: str) -> None:
        """Have an array no longer; it is gone for good when `commit` has returned.

        Raises
        ------
        ValueError
            If there is no such array.
        """

    @abstractmethod
    def append_table(self, name: str, columns: Mapping[str, np.ndarray]) -> None:
        """Put rows at the end of a table, which the first of them make.

        Parameters
        ----------
        name : str
            Any text.
        columns : dict of 1-D arrays of one length
            Booleans, numbers, times, or text; the same columns of the same dtypes each time. Only text may grow longer.

        Raises
        ------
        ValueError
            If columns are missing, or too many, or of different lengths.
        TypeError
            If a dtype is another.
        """

    @abstractmethod
    def table(self, name: str) -> Columns:
        """All rows of a table, a 1-D array a column."""

    @abstractmethod
    def commit(self, state: Mapping[str, Any] | None = None) -> None:
        """Keep for good what was appended, and the state, which is replaced if one is given.

        Raises
        ------
        TypeError
            If the state is not plain JSON.
        """

    @abstractmethod
    def rewrite(
        self,
        keep: Mapping[str, np.ndarray],
        *,
        replace: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """Forget rows for good, all of them or none, and commit.

        Parameters
        ----------
        keep : dict of bool arrays
            By name of an array or a table, which of its rows stay. What is not named stays whole.
        replace : dict, optional
            By name of an array its new rows, or an iterator of parts of them, of a table its new columns, where they
            change.
        state : dict, optional
            The new state.

        Raises
        ------
        ValueError
            If a name is not known, or a mask has another length.
        """

    def _rewritten(self, keep: Mapping[str, Any], replace: Mapping[str, Any]) -> dict[str, Iterator[Any]]:
        """The new contents of what changes: the rows of an array in parts, or the columns of a table in one part."""
        arrays, both = self.names(), sorted(set(keep) & set(replace))
        if both:
            raise ValueError(f"replace: {both[0]!r} is in keep too. Give its new rows only.")
        for name in (*keep, *replace):
            if name not in arrays and name not in self.tables():
                raise unknown(name, arrays + self.tables())
        made: dict[str, Iterator[Any]] = {}
        for name, mask in keep.items():
            made[name] = (
                _kept(self.array(name), mask, name) if name in arrays else _kept_of(self.table(name), mask, name)
            )
        for name, new in replace.items():
            if name in arrays:
                made[name] = _as_parts(new, self.array(name), name)
            else:
                made[name] = iter([as_columns(new, None, name)])
        return made

    def copy_to(self, other: "Store") -> None:
        """Put everything into a store that is still empty, and commit it there.

        Raises
        ------
        ValueError
            If the other store holds something.
        """
        if other.names() or other.tables():
            raise ValueError(f"other: it holds {(other.names() + other.tables())[0]!r} already. Give an empty store.")
        for name in self.names():
            rows = self.array(name)
            other.create(name, rows.dtype, rows.shape[1:])
            for part in blocks(rows):
                other.append(name, part)
        for name in self.tables():
            other.append_table(name, self.table(name))
        other.commit(self.state)


def blocks(rows: np.ndarray) -> list[np.ndarray]:
    """Views of some rows each, so that not all of them need to be in memory."""
    step = max(1, BLOCK // max(1, rows.dtype.itemsize * int(np.prod(rows.shape[1:]))))
    return [rows[first : first + step] for first in range(0, len(rows), step)]


def plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the state, as it will be when it is read back."""
    try:
        copy = json.loads(json.dumps(state))
    except (TypeError, ValueError) as err:
        raise TypeError(f"state: {err}. Give a dict of numbers, text, lists and dicts.") from err
    if not isinstance(copy, dict):
        raise TypeError(f"state: found a {type(state).__name__}. Give a dict.")
    return copy


def as_dtype(dtype: Any) -> np.dtype:
    """The little-endian form of a dtype of which arrays can be."""
    found = np.dtype(dtype)
    if found.kind not in "biufcmM":
        raise TypeError(f"dtype: found {found}. Arrays hold booleans, numbers or times.")
    return found.newbyteorder("<")


def as_rows(rows: Any, dtype: np.dtype, row_shape: tuple[int, ...], name: str) -> np.ndarray:
    """Rows to be put into an array, in its dtype and contiguous."""
    found = np.asarray(rows)
    if not found.ndim or found.shape[1:] != row_shape:
        shape = ", ".join(["n", *map(str, row_shape)])
        raise ValueError(f"rows: found shape {found.shape} for {name!r}. Give ({shape}).")
    if not np.can_cast(found.dtype, dtype, "same_kind" if dtype.kind in "iufc" else "safe"):
        raise TypeError(f"rows: found {found.dtype} for {name!r}, which holds {dtype}. Convert them.")
    made = np.ascontiguousarray(found, dtype)
    if dtype.kind in "iu" and not np.array_equal(made, found):
        raise ValueError(f"rows: an integer does not fit into {name!r}, which holds {dtype}. Take a wider dtype.")
    return made


def as_columns(columns: Mapping[str, Any], known: Mapping[str, np.dtype] | None, name: str) -> Columns:
    """Columns to be put behind others of the dtypes `known`, copied."""
    made = {str(key): _as_column(key, values) for key, values in columns.items()}
    lengths = {len(values) for values in made.values()}
    if len(lengths) != 1:
        raise ValueError(f"columns: found lengths {sorted(lengths)} for {name!r}. Give at least one, all as long.")
    if known is None:
        return made
    if set(made) != set(known):
        raise ValueError(f"columns: found {sorted(made)} for {name!r}, which has {sorted(known)}. Give these.")
    for key, dtype in known.items():
        if made[key].dtype != dtype and not made[key].dtype.kind == dtype.kind == "U":
            raise TypeError(f"columns: {key!r} of {name!r} is {made[key].dtype}, was {dtype}. Convert it.")
    return {key: made[key] for key in known}


def widened(known: Mapping[str, np.dtype] | None, columns: Columns) -> dict[str, np.dtype]:
    """Dtypes that hold these columns too: text may have grown longer."""
    return {key: np.promote_types((known or {}).get(key, v.dtype), v.dtype) for key, v in columns.items()}


def _as_column(key: Any, values: Any) -> np.ndarray:
    found = np.array(values)
    if found.ndim != 1:
        raise ValueError(f"columns: {key!r} has shape {found.shape}. Give a 1-D array.")
    if found.dtype.kind == "O" and all(type(one) is str for one in found):
        return found
    if found.dtype.kind not in "biufmMU" or (found.dtype.kind in "mM" and np.datetime_data(found.dtype) not in _UNITS):
        raise TypeError(f"columns: {key!r} holds {found.dtype}. Give booleans, numbers, times in s to ns, or text.")
    return found.astype(found.dtype.newbyteorder("<"), copy=False)


def unknown(name: str, known: list[str]) -> ValueError:
    """The error for a name that is not there."""
    return ValueError(f"name: there is no {name!r}; there are {sorted(known)}. Create it first.")


def refuse_taken(name: str, known: list[str]) -> None:
    """Arrays and tables have different names."""
    if name in known:
        raise ValueError(f"name: there is a {name!r} already. Take another name.")


def _as_parts(new: Any, old: np.ndarray, name: str) -> Iterator[np.ndarray]:
    """New rows of an array in parts; what is no iterator is looked at before anything is written."""
    if isinstance(new, Iterator):
        return (as_rows(part, old.dtype, old.shape[1:], name) for part in new)
    return iter([as_rows(new, old.dtype, old.shape[1:], name)])


def _kept(rows: np.ndarray, mask: Any, name: str) -> Iterator[np.ndarray]:
    chosen, parts = _mask_of(mask, len(rows), name), blocks(rows)
    step = len(parts[0]) if parts else 1
    return (part[chosen[i * step : (i + 1) * step]] for i, part in enumerate(parts))


def _kept_of(columns: Columns, mask: Any, name: str) -> Iterator[Columns]:
    chosen = _mask_of(mask, len(next(iter(columns.values()))), name)
    return iter([{key: values[chosen] for key, values in columns.items()}])


def _mask_of(mask: Any, n_rows: int, name: str) -> np.ndarray:
    found = np.asarray(mask)
    if found.dtype != bool or found.shape != (n_rows,):
        raise ValueError(f"keep: {name!r} has {n_rows} rows, found {found.dtype} {found.shape}. Give a bool a row.")
    return found
