"""The speed of this machine, relative to the one for which time budgets of tests were set.

Tests in real time wait for states, not for times. Where a time is needed (for example a timeout of
the product that must not expire before a fault is over), it is a multiple of this unit.
"""

import functools
import hashlib
import time

_REFERENCE_S = 0.17  # duration of the work below on the idle reference machine
_SLOWEST = 8.0


@functools.cache
def unit() -> float:
    """Return the factor of this machine: 1 if it is idle and as fast as the reference, up to 8.

    Measured once per process with the wall clock, so that other load on the machine counts.
    """
    begin_s = time.perf_counter()
    digest = b""
    for number in range(400_000):
        digest = hashlib.sha256(digest + number.to_bytes(4)).digest()
    return min(_SLOWEST, max(1.0, (time.perf_counter() - begin_s) / _REFERENCE_S))
