"""How fast this machine is now, against the one that budgets of real-time tests were made for.

Tests in real time wait for states, not for times. What still needs a time (a time-out of the
product that must not fire before a fault heals, say) is a multiple of this unit.
"""

import functools
import hashlib
import time

_REFERENCE_S = 0.17  # what the work below takes on the machine that budgets were made for, idle
_SLOWEST = 8.0


@functools.cache
def unit() -> float:
    """Return the factor of this machine: 1 if it is idle and as fast as the reference, up to 8.

    Measured once per process, by the wall clock: other work on the machine counts.
    """
    begin_s = time.perf_counter()
    digest = b""
    for number in range(400_000):
        digest = hashlib.sha256(digest + number.to_bytes(4)).digest()
    return min(_SLOWEST, max(1.0, (time.perf_counter() - begin_s) / _REFERENCE_S))
