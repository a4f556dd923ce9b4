"""Where electrodes sit: the names of the 10-20, 10-10 and 10-5 systems, and their places on the unit sphere."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

# A tenth of the way from nasion to inion. With 23 degrees the ring of Fpz, T7 and Oz lies at 92 degrees from the vertex
# and the nasion at 115, as in the caps of BioSemi and in EEGLAB, and as a sphere fitted to real heads has it.
_STEP = 23.0
# Rows from front to back, by how many tenths their midline electrode lies before the vertex.
_ROWS = {
    **{"AFp": 3.5, "AF": 3.0, "AFF": 2.5, "F": 2.0, "FFC": 1.5, "FC": 1.0, "FCC": 0.5, "C": 0.0},
    **{"CCP": -0.5, "CP": -1.0, "CPP": -1.5, "P": -2.0, "PPO": -2.5, "PO": -3.0, "POO": -3.5},
}
# What rows are called from the seventh column outwards, where temporal bone begins.
_TEMPORAL = {"FFC": "FFT", "FC": "FT", "FCC": "FTT", "C": "T", "CCP": "TTP", "CP": "TP", "CPP": "TPP"}
# The first names of the 10-20 system. T5 is P7: tables that send it to T9 misplace it in clinical recordings.
_ALIASES = {"t3": "T7", "t4": "T8", "t5": "P7", "t6": "P8", "nasion": "Nz", "inion": "Iz"}
_PREFIX = re.compile(r"^EEG[\s_]+", re.IGNORECASE)
_REFERENCE = re.compile(
    r"\s*[-–]\s*(ref|le|avg|ar|car|average|a1a2|a1\+a2|m1m2|m1\+m2)([\s_-]*(avg|average|ref))?$", re.IGNORECASE
)


def _chain(*names: str) -> list[tuple[str, str]]:
    return list(pairwise(names))


TCP_PAIRS: tuple[tuple[str, str], ...] = (
    *_chain("Fp1", "F7", "T7", "P7", "O1"),
    *_chain("Fp2", "F8", "T8", "P8", "O2"),
    *_chain("T7", "C3", "Cz", "C4", "T8"),
    *_chain("Fp1", "F3", "C3", "P3", "O1"),
    *_chain("Fp2", "F4", "C4", "P4", "O2"),
    ("A1", "T7"),
    ("T8", "A2"),
)
"""The 22 pairs of the temporal central parasagittal montage; caps without ear lobes take the first 20."""


def _polar(tenths: float, azimuth: float, step: float) -> np.ndarray:
    """The point so many tenths from the vertex, at an azimuth in degrees from the nose to the left."""
    polar, azimuth = np.radians(tenths * step), np.radians(azimuth)
    return np.array([-np.sin(polar) * np.sin(azimuth), np.sin(polar) * np.cos(azimuth), np.cos(polar)])


def _arc(left: np.ndarray, middle: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Points at these parts of the way from the middle to the left along the small circle through both and the right.

    The circle is symmetric in x, so its plane contains the x direction; its centre is the foot of the origin on it.
    """
    across = middle - left * [0, 1, 1]
    normal = np.cross([1.0, 0.0, 0.0], across / np.linalg.norm(across))
    centre = normal * (normal @ middle)
    up = middle - centre
    angles = parts * np.arctan2(-left[0], (left - centre) @ up / np.linalg.norm(up))
    sideways = np.array([-np.linalg.norm(up), 0.0, 0.0])
    return centre + np.cos(angles)[:, None] * up + np.sin(angles)[:, None] * sideways


def _left_half(step: float) -> dict[str, np.ndarray]:
    """Electrodes of the left half by row and column: the columns are 1h, 1, 3h, 3, 5h, 5, 7h, 7, 9h, 9."""
    points = {}
    for row, tenths in _ROWS.items():
        azimuth = 90 - 18 * tenths
        inner = _arc(_polar(4, azimuth, step), _polar(tenths, 0, step), np.arange(1, 9) / 8)
        outer = [_polar(4.5, azimuth, step), _polar(5, azimuth, step)]
        for place, point in enumerate([*inner, *outer]):
            name = row if place < 6 else _TEMPORAL.get(row, row)
            points[f"{name}{place // 2 * 2 + 1}{'' if place % 2 else 'h'}"] = point
    for tenths, front, back in ((4, "Fp", "O"), (4.5, "NFp", "OI"), (5, "N", "I")):
        for row, azimuth, half in ((front, 18, 9), (back, 162, 171)):
            points[f"{row}1"], points[f"{row}1h"] = _polar(tenths, azimuth, step), _polar(tenths, half, step)
    # Ear lobes and mastoids hang below the lowest ring, as on measured heads; cerebellar CB1 lies where POO7 does.
    points |= {"A1": _polar(5.5, 94, step), "M1": _polar(5.5, 106, step), "CB1": points["POO7"]}
    return points


@cache
def _table(step: float = _STEP) -> dict[str, np.ndarray]:
    """All electrodes on the unit sphere: x to the right, y to the nose, z through the vertex Cz."""
    midline = {**_ROWS, "N": 5.0, "NFp": 4.5, "Fp": 4.0, "O": -4.0, "OI": -4.5, "I": -5.0}
    points = {f"{row}z": _polar(tenths, 0, step) for row, tenths in midline.items()}
    for name, point in _left_half(step).items():
        row, number, half = re.fullmatch(r"([A-Za-z]+)(\d)(h?)", name).groups()  # type: ignore[union-attr]
        points[name] = point
        points[f"{row}{int(number) + 1}{half}"] = point * [-1, 1, 1]
    return points


@cache
def _spellings() -> dict[str, str]:
    return {**{name.lower(): name for name in _table()}, **_ALIASES}


def canonical_name(name: str) -> str:
    """The standard spelling of an electrode, or of a pair of electrodes.

    Parameters
    ----------
    name : str
        As recorders write it: any case, with or without ``"EEG "`` before and the reference (``"-REF"``, ``"-LE"``,
        ``"-AVG"``) or dots behind it. T3, T4, T5 and T6 are the old names of T7, T8, P7 and P8.

    Returns
    -------
    str
        The name without blanks around it if it is unknown.

    Examples
    --------
    >>> canonical_name("EEG FP1-REF"), canonical_name("Fc5."), canonical_name("T3-T5"), canonical_name("EOG left ")
    ('Fp1', 'FC5', 'T7-P7', 'EOG left')
    """
    stripped = str(name).strip()
    bare = _PREFIX.sub("", stripped)
    bare = _REFERENCE.sub("", bare).strip().rstrip(".").strip()
    known = _spellings()
    if bare.lower() in known:
        return known[bare.lower()]
    pair = as_pair(bare)
    if pair and all(part.lower() in known for part in pair):
        return "-".join(known[part.lower()] for part in pair)
    return stripped


def as_pair(name: str) -> list[str] | None:
    """The two names of "A-B"; None for any other name."""
    parts = [part.strip().rstrip(".") for part in re.split("[-–]", name)]
    return parts if len(parts) == 2 and all(parts) else None


def _places(positions: Mapping[str, Any] | None) -> dict[str, np.ndarray]:
    """Points by name as given and by standard spelling; the name as given wins."""
    if positions is None:
        return _table()
    if not isinstance(positions, Mapping):
        raise TypeError(
            f"positions: found {type(positions).__name__}. Give a dict {{name: (x, y, z), ...}}, or None for the "
            "places of the 10-5 system. A frame becomes one with dict(zip(frame.index, frame.to_numpy()))."
        )
    given: dict[str, np.ndarray] = {}
    for name, point in positions.items():
        try:
            given[name] = np.asarray(point, dtype=np.float64)
        except (TypeError, ValueError):
            given[name] = np.empty(0)
        if given[name].shape != (3,) or not np.isfinite(given[name]).all():
            raise ValueError(f"positions: {name!r} is at {point!r}. Give three finite numbers (x, y, z).")
    standard: dict[str, np.ndarray] = {}
    for name, point in given.items():
        standard.setdefault(canonical_name(name), point)
    return {**standard, **given}


def _find(name: Any, places: Mapping[str, np.ndarray]) -> tuple[str, np.ndarray] | None:
    """What an electrode or pair is called in the table, and its place; None if it is not there."""
    for spelling in (name, canonical_name(name)):
        if spelling in places:
            return spelling, places[spelling]
    pair = as_pair(_REFERENCE.sub("", _PREFIX.sub("", canonical_name(name))))
    found = [_find(part, places) for part in pair or []]
    if len(found) != 2 or found[0] is None or found[1] is None:
        return None
    return f"{found[0][0]}-{found[1][0]}", (found[0][1] + found[1][1]) / 2


def unknown_electrodes(names: Iterable[str], positions: Mapping[str, Any] | None = None) -> list[str]:
    """Which channels have no known position.

    Parameters
    ----------
    names : iterable of str
        Channels; a pair "A-B" is known if both electrodes are.
    positions : mapping of name to (x, y, z), optional
        Known positions; the 10-5 system when omitted.

    Returns
    -------
    list of str
        Names as given, in their order.

    Examples
    --------
    >>> unknown_electrodes(["Cz", "EOG", "F7-T3"])
    ['EOG']
    """
    places = _places(positions)
    return [name for name in names if _find(name, places) is None]


def electrode_positions(
    names: Iterable[str], positions: Mapping[str, Any] | None = None, *, where: str = "X"
) -> np.ndarray:
    """Positions of channels on the head.

    Parameters
    ----------
    names : iterable of str
        Channels, in any of the spellings of `canonical_name`. A pair "A-B" lies in the middle between its electrodes.
    positions : mapping of name to (x, y, z), optional
        Known positions, looked up by the name as given, then by its standard spelling. When omitted, the places of the
        10-5 system on the unit sphere: x to the right, y to the nose, z through the vertex.
    where : str
        How errors call what has the channels.

    Returns
    -------
    float64 array of shape (n_channels, 3)

    Raises
    ------
    TypeError
        If positions are no mapping.
    ValueError
        If channels are unknown, all of which are listed, or if several names mean one electrode.

    Examples
    --------
    >>> electrode_positions(["Cz", "T3-T4"]).round(2) + 0.0
    array([[ 0.  ,  0.  ,  1.  ],
           [ 0.  ,  0.  , -0.03]])
    """
    names, places = list(names), _places(positions)
    found = [_find(name, places) for name in names]
    unknown = [name for name, place in zip(names, found, strict=True) if place is None]
    if unknown:
        raise ValueError(_unknown_message(unknown, len(names), places, where, built_in=positions is None))
    spellings = [place[0] for place in found if place is not None]
    check_once(names, spellings, where)
    return np.array([place[1] for place in found if place is not None]).reshape(-1, 3)


def _unknown_message(unknown: list[str], total: int, places: Mapping[str, Any], where: str, *, built_in: bool) -> str:
    lower = {str(name).lower(): name for name in places}
    shown = []
    for name in unknown:
        close = get_close_matches(canonical_name(name).lower(), lower, n=1, cutoff=0.75)
        shown.append(f"{name!r}" + (f" (is it {lower[close[0]]!r}?)" if close else ""))
    mend = "give positions={name: (x, y, z), ...} of all channels"
    if not built_in:
        mend = "add them to positions=, which stands in the place of the built-in table, so that all share one unit"
    return (
        f"{where}: {len(unknown)} of its {total} channels have no known position: {', '.join(shown)}. Leave them out, "
        f"or {mend}. Estimators leave them out with drop_unknown=True, and take positions='none' for channels that are "
        "not on a scalp."
    )


def check_once(names: Sequence[Any], spellings: Sequence[Any], where: str) -> None:
    """Refuse names with the same standard spelling."""
    meant: dict[Any, list[Any]] = {}
    for name, spelling in zip(names, spellings, strict=True):
        meant.setdefault(spelling, []).append(name)
    twice = [f"{' and '.join(map(repr, group))} are both {name}" for name, group in meant.items() if len(group) > 1]
    if twice:
        raise ValueError(f"{where}: channels mean one electrode: {'; '.join(twice)}. Keep one of each.")


def on_unit_sphere(points: Any) -> np.ndarray:
    """Positions in any unit and about any origin, moved and scaled to the sphere of radius 1 that fits them best.

    The sphere |p - c| = r is fitted by linear least squares of |p|^2 = 2 p c + (r^2 - |c|^2).

    Parameters
    ----------
    points : array-like of shape (n_points, 3)
        For example in metres or millimetres.

    Returns
    -------
    float64 array of shape (n_points, 3)
        About the centre of the sphere; distances from it are near 1, not equal to it, where the points form no sphere.

    Raises
    ------
    ValueError
        If there are fewer than four points, or they lie in a plane: no sphere is determined.

    Examples
    --------
    >>> on_unit_sphere([[95, 0, 10], [-95, 0, 10], [0, 95, 10], [0, 0, 105]]).round(3) + 0.0
    array([[ 1.,  0.,  0.],
           [-1.,  0.,  0.],
           [ 0.,  1.,  0.],
           [ 0.,  0.,  1.]])
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"points: found shape {points.shape}. Give finite numbers (n_points, 3).")
    # Centred and scaled first, so that the squares of distant origins do not swallow the digits.
    centred = points - points.mean(axis=0) if len(points) else points
    spread = np.linalg.svd(centred, compute_uv=False) if len(points) > 3 else np.zeros(3)
    if spread[2] <= 1e-6 * spread[0]:
        raise ValueError(
            f"points: {len(points)} points, which must be four or more that do not lie in a plane, determine no "
            "sphere. Give the positions of more electrodes."
        )
    scaled = centred / spread[0]
    system = np.c_[2 * scaled, np.ones(len(scaled))]
    *centre, constant = np.linalg.lstsq(system, (scaled**2).sum(axis=1), rcond=None)[0]
    return (scaled - centre) / np.sqrt(constant + np.square(centre).sum())
