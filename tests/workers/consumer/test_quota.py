"""Partitions spread evenly over the workers of a group."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from workers.consumer.quota import candidates, quota, surplus


@given(st.integers(1, 9999), st.integers(1, 200))
def test_quotas_cover_all_partitions_and_differ_from_the_mean_by_less_than_one(
    partitions: int, members: int
) -> None:
    assert partitions <= quota(partitions, members) * members
    assert quota(partitions, members) < partitions / members + 1


def test_quota_of_a_group_that_counts_nobody_is_everything() -> None:
    assert quota(64, 0) == 64


@given(st.sets(st.integers(0, 63)), st.integers(0, 70))
def test_surplus_and_candidates_partition_the_numbers(held: set[int], limit: int) -> None:
    random = Random(1)  # noqa: S311 - reproducible
    released = surplus(held, limit, random)
    assert set(released) <= held
    assert len(held) - len(released) == min(len(held), limit)
    assert sorted([*candidates(held, 64, random), *held]) == list(range(64))
