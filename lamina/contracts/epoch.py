"""Times as numbers: which unit since the epoch a number counts, and how it becomes milliseconds.

The rule, the same wherever lamina reads a time: a number counts seconds, milliseconds, microseconds or nanoseconds
since 1970 if it lies between the years 2000 and 2100 in that unit. The four ranges do not touch. A number in none is no
time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_TIMESTAMP_MS = 946_684_800_000  # 2000-01-01
MAX_TIMESTAMP_MS = 4_102_444_800_000  # 2100-01-01

UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST_S, _LAST_S = MIN_TIMESTAMP_MS // 1000, MAX_TIMESTAMP_MS // 1000


def epoch_unit(number: float) -> str | None:
    """The unit (`s`, `ms`, `us` or `ns`) in which `number` lies between the years 2000 and 2100; None where in none.

    >>> [epoch_unit(number) for number in (1_533_729_600, 1_533_729_600_000, 1_533_729_600_000_000, 20_180_808)]
    ['s', 'ms', 'us', None]
    """
    return next((unit for unit, per in PER_SECOND.items() if _FIRST_S * per <= number <= _LAST_S * per), None)


def epoch_units(numbers: NDArray[np.float64]) -> NDArray[np.object_]:
    """`epoch_unit` of each number.

    >>> import numpy as np
    >>> epoch_units(np.array([1_533_729_600, np.nan])).tolist()
    ['s', None]
    """
    import numpy as np  # Airflow reads its DAGs without it

    units = np.full(len(numbers), None, dtype=object)
    for unit, per in PER_SECOND.items():
        units[(numbers >= _FIRST_S * per) & (numbers <= _LAST_S * per)] = unit
    return units


@overload
def rounded_ms(at_us: int) -> int: ...
@overload
def rounded_ms(at_us: NDArray[np.int64]) -> NDArray[np.int64]: ...
def rounded_ms(at_us: int | NDArray[np.int64]) -> int | NDArray[np.int64]:
    """Microseconds as the nearest millisecond; a half goes up.

    >>> rounded_ms(1_499), rounded_ms(1_500), rounded_ms(-1_500)
    (1, 2, -1)
    """
    return (at_us + 500) // 1000


def not_milliseconds(number: float) -> str:
    """What to answer to a number that is no time in milliseconds.

    >>> not_milliseconds(1_533_729_600)
    'must be milliseconds since the epoch, of the years 2000 to 2100; this looks like seconds'
    """
    unit = epoch_unit(number)
    looks = f"; this looks like {UNITS[unit]}" if unit not in (None, "ms") else ""
    return f"must be milliseconds since the epoch, of the years 2000 to 2100{looks}"
