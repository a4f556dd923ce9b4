"""The walk over nested values: what kind of value each is, and where its numbers go."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, time, timedelta
from typing import Any

import numpy as np
import pandas as pd

Arrays = dict[str, np.ndarray]
Encoder = Callable[[Any, "Writer", str], Any]
Decoder = Callable[[dict[str, Any], "Reader"], Any]

_LABELS = (bytes, date, time, timedelta, pd.Interval, pd.IntervalIndex)
_ADVICE = {"RandomState": "Replace it by an int.", "Generator": "Replace it by an int.", "device": "Give its name."}


class Writer:
    """Turns values into JSON and sets their arrays aside, numbered, so that no two ever share a name.

    Parameters
    ----------
    kinds : sequence of (test, encoder)
        The first test that a value passes decides.
    """

    def __init__(self, kinds: Sequence[tuple[Callable[[Any], bool], Encoder]]) -> None:
        self.arrays: Arrays = {}
        self._names: dict[int, str] = {}
        self._kinds = kinds

    def encode(self, value: Any, at: str) -> Any:
        """JSON for a value; `at` is where it was found, for messages.

        Raises
        ------
        TypeError
            If the value is neither numbers nor text nor made of them.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        for fits, encoder in self._kinds:
            if fits(value):
                return encoder(value, self, at)
        raise refusal(value, at)

    def encode_all(self, values: Sequence, at: str) -> list[Any]:
        """JSON for each of several values."""
        return [self.encode(value, f"{at}.{i}") for i, value in enumerate(values)]

    def store(self, array: np.ndarray) -> str:
        """Set an array of numbers aside and return its name; one that several hold is kept once."""
        name = self._names.setdefault(id(array), str(len(self.arrays)))
        self.arrays[name] = array
        return name


class Reader:
    """Turns JSON and arrays back into values.

    Parameters
    ----------
    kinds : mapping of str to (keys, decoder)
        Every kind of node, by its first key, with all keys that it has.
    arrays : dict of str to array
        What was set aside.
    """

    def __init__(self, kinds: Mapping[str, tuple[tuple[str, ...], Decoder]], arrays: Arrays) -> None:
        self._kinds = kinds
        self._arrays = arrays

    def decode(self, node: Any) -> Any:
        """The value of a node.

        Raises
        ------
        ValueError
            If it is none that a `Writer` writes.
        """
        if node is None or isinstance(node, bool | int | float | str):
            return node
        kind = next(iter(node), None) if isinstance(node, dict) else type(node).__name__
        if not isinstance(node, dict) or not isinstance(kind, str) or kind not in self._kinds:
            raise ValueError(f"it holds a {kind!r}, which this tsrec does not know")
        keys, decoder = self._kinds[kind]
        if set(node) != set(keys):
            raise ValueError(f"a {kind!r} has the keys {sorted(node)}, not {sorted(keys)}")
        return decoder(node, self)

    def decode_all(self, nodes: Any) -> list[Any]:
        """The values of a list of nodes."""
        if not isinstance(nodes, list):
            raise ValueError(f"a {type(nodes).__name__} stands where a list belongs")
        return [self.decode(node) for node in nodes]

    def fetch(self, name: Any) -> np.ndarray:
        """The array of a name."""
        if not isinstance(name, str) or name not in self._arrays:
            raise ValueError(f"it names the array {name!r}, which is absent")
        return self._arrays[name]


def refusal(value: Any, at: str, what: str = "", advice: str = "") -> TypeError:
    """The error for a value that cannot be saved, with advice that fits."""
    name = type(value).__name__
    if not advice and isinstance(value, _LABELS):
        advice = "Convert such labels to text, numbers or pandas time stamps before fit."
    advice = advice or _ADVICE.get(name, "Replace it by one of those.")
    return TypeError(
        f"{at}: a {what or name} cannot be saved, only numbers, text, indexes of frames and estimators of tsrec. "
        f"{advice}"
    )
