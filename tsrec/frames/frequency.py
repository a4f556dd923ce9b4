"""Frequencies: what a user or an index says, and the kind of regular grid it means."""

import re
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

Offset: TypeAlias = pd.offsets.BaseOffset
Kind = Literal["position", "integer", "fixed", "wall", "month", "business", "period", "delta"]
Pace = Literal["sub-daily", "daily", "weekly", "monthly", "quarterly", "yearly"]
MonthRule = Literal["start", "end", "bstart", "bend"]


class Rhythm(NamedTuple):
    """A regular spacing: ``step`` ordinals of a ``kind`` between neighbours (nanoseconds for "fixed" and "wall")."""

    kind: Kind
    step: int
    rule: MonthRule = "start"


# pandas 3 raises on the old names; users still type them.
_OLD_NAMES = {
    "H": "h", "T": "min", "S": "s", "L": "ms", "U": "us", "N": "ns",
    "M": "ME", "BM": "BME", "Q": "QE", "BQ": "BQE", "A": "YE", "Y": "YE", "BA": "BYE", "BY": "BYE",
    "AS": "YS", "BAS": "BYS",
}  # fmt: skip
_DAY = 86_400_000_000_000
_MONTHS: dict[type, tuple[int, MonthRule]] = {
    pd.offsets.MonthBegin: (1, "start"),
    pd.offsets.MonthEnd: (1, "end"),
    pd.offsets.BusinessMonthBegin: (1, "bstart"),
    pd.offsets.BusinessMonthEnd: (1, "bend"),
    pd.offsets.QuarterBegin: (3, "start"),
    pd.offsets.QuarterEnd: (3, "end"),
    pd.offsets.BQuarterBegin: (3, "bstart"),
    pd.offsets.BQuarterEnd: (3, "bend"),
    pd.offsets.YearBegin: (12, "start"),
    pd.offsets.YearEnd: (12, "end"),
    pd.offsets.BYearBegin: (12, "bstart"),
    pd.offsets.BYearEnd: (12, "bend"),
}


def to_offset(freq: str | Offset, *, where: str = "freq") -> Offset:
    """Turn a frequency into a pandas offset; the names that pandas 3 dropped (H, T, S, M, Q, A) are translated.

    Parameters
    ----------
    freq : str or offset
        For example "h", "15min", "MS", or an old name such as "M".
    where : str
        How errors call the argument.

    Examples
    --------
    >>> to_offset("2H").freqstr
    '2h'
    """
    if isinstance(freq, pd.offsets.BaseOffset):
        return freq
    match = re.fullmatch(r"\s*(-?\d*)\s*([A-Za-z]+)(-[A-Za-z]+)?\s*", str(freq))
    name = str(freq)
    if match:
        count, alias, anchor = match.groups()
        name = f"{count}{_OLD_NAMES.get(alias, alias)}{anchor or ''}"
    try:
        return pd.tseries.frequencies.to_offset(name)
    except ValueError as err:
        raise ValueError(
            f"{where}: {freq!r} is no frequency pandas knows. Use for example 'h', '15min', 'D', 'W-SUN', 'MS', 'QS'."
        ) from err


def rhythm(freq: str | Offset, *, where: str = "freq") -> Rhythm:
    """The grid that a frequency means.

    Raises
    ------
    ValueError
        If the frequency has no regular grid here (semi-months, custom business calendars), or is not positive.

    Examples
    --------
    >>> rhythm("QS")
    Rhythm(kind='month', step=3, rule='start')
    """
    offset = to_offset(freq, where=where)
    if offset.n <= 0:
        raise ValueError(f"{where}: {offset.freqstr!r} runs backwards or stands still; give a positive frequency.")
    if isinstance(offset, pd.offsets.Day):
        return Rhythm("wall", _DAY * offset.n)
    if isinstance(offset, pd.offsets.Tick):
        return Rhythm("fixed", int(pd.Timedelta(offset).as_unit("ns").value))
    if isinstance(offset, pd.offsets.Week):
        return Rhythm("wall", 7 * _DAY * offset.n)
    if type(offset) in _MONTHS:
        months, rule = _MONTHS[type(offset)]
        return Rhythm("month", months * offset.n, rule)
    if type(offset) is pd.offsets.BusinessDay:
        return Rhythm("business", offset.n)
    raise ValueError(
        f"{where}: {offset.freqstr!r} has no evenly spaced grid that tsrec supports. Resample to a regular frequency "
        "(for example 'D', 'B', 'W-SUN', 'MS') first."
    )


_RULE_NAMES = {"start": "S", "end": "E"}
_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def alias(what: Rhythm, first: pd.Timestamp) -> str:
    """The pandas name of a rhythm, anchored at a time stamp that lies on it.

    Examples
    --------
    >>> alias(Rhythm("month", 3), pd.Timestamp("2020-02-01"))
    'QS-FEB'
    """
    kind, step, rule = what
    if kind == "business":
        return f"{step if step > 1 else ''}B"
    if kind == "month":
        return _month_alias(step, rule, first.month)
    if kind == "wall" and step % (7 * _DAY) == 0:
        weeks = step // (7 * _DAY)
        return f"{weeks if weeks > 1 else ''}W-{first.day_name()[:3].upper()}"
    if kind == "wall":
        return f"{step // _DAY if step > _DAY else ''}D"
    return pd.tseries.frequencies.to_offset(pd.Timedelta(step, unit="ns")).freqstr


def _month_alias(step: int, rule: MonthRule, month: int) -> str:
    business = "B" if rule.startswith("b") else ""
    edge = _RULE_NAMES[rule.removeprefix("b")]
    for months, letter in ((12, "Y"), (3, "Q")):
        if step % months == 0:
            # A quarter that ends in March is anchored at any of MAR, JUN, SEP, DEC; pandas prints the last of them.
            anchor = _MONTH_NAMES[month - 1] if months == 12 else _quarter_anchor(edge, month)
            count = step // months
            return f"{count if count > 1 else ''}{business}{letter}{edge}-{anchor}"
    return f"{step if step > 1 else ''}{business}M{edge}"


def _quarter_anchor(edge: str, month: int) -> str:
    phase = (month - 1) % 3
    return _MONTH_NAMES[phase if edge == "S" else 9 + phase]


def season_of(kind: Kind, step: int) -> int | None:
    """Steps in the season that people expect of a frequency; None where the frequency says nothing.

    Sub-daily data have a day, daily data a week (five days for business days), weekly data a year of 52 weeks, months
    and quarters a year. A day of more than 1,440 steps says nothing about the season of a sensor.
    """
    if kind == "fixed":
        per_day = _DAY / step
        return int(per_day) if per_day == int(per_day) and 2 <= per_day <= 1440 else None
    if kind == "wall":
        return {_DAY: 7, 7 * _DAY: 52}.get(step)
    if kind == "business":
        return 5 if step == 1 else None
    if kind == "month":
        return 12 // step if step <= 12 and 12 % step == 0 else None
    return None


# Days from row to row below which data are of a pace: half way, in ratio, to the next one.
_PACES: tuple[tuple[float, Pace], ...] = (
    (0.99, "sub-daily"), (4, "daily"), (20, "weekly"), (60, "monthly"), (200, "quarterly"),
)  # fmt: skip


def pace_of(days: float) -> Pace:
    """How often there is a row, by the days from one to the next.

    Examples
    --------
    >>> pace_of(1 / 24), pace_of(7), pace_of(91)
    ('sub-daily', 'weekly', 'quarterly')
    """
    return next((pace for below, pace in _PACES if days < below), "yearly")


def month_rule(days: np.ndarray) -> MonthRule | None:
    """Which day of the month all of these dates (datetime64[D]) are: the first, the last, or the business ones."""
    months = days.astype("datetime64[M]")
    first = months.astype("datetime64[D]")
    last = (months + 1).astype("datetime64[D]") - 1
    if (days == first).all():
        return "start"
    if (days == last).all():
        return "end"
    if (days == np.busday_offset(first, 0, roll="forward")).all():
        return "bstart"
    if (days == np.busday_offset(last, 0, roll="backward")).all():
        return "bend"
    return None
