"""How many partitions a worker holds, and which it gives up or tries to get. Pure."""

from collections.abc import Collection, Sequence
from random import Random


def quota(partitions: int, members: int) -> int:
    """Return how many partitions a worker may hold, so that they spread evenly over the members."""
    return -(-partitions // max(1, members))


def surplus(held: Collection[int], limit: int, random: Random) -> list[int]:
    """Return the partitions to release: those above the limit, chosen at random."""
    return random.sample(sorted(held), max(0, len(held) - limit))


def candidates(held: Collection[int], partitions: int, random: Random) -> Sequence[int]:
    """Return the partitions to try, in random order, so that workers rarely try the same."""
    free = [each for each in range(partitions) if each not in held]
    random.shuffle(free)
    return free
