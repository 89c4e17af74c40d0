"""The report of /readyz: ready, degraded, not ready, and the reasons."""

from gateway.readiness import Condition, Readiness, degraded, not_ready


def readiness_of(*conditions: Condition) -> Readiness:
    readiness = Readiness()
    for condition in conditions:
        readiness.add([condition].copy)
    return readiness


def test_ready_without_conditions() -> None:
    readiness = readiness_of()
    readiness.add(list)
    assert readiness.report() == (200, "ok\n")


def test_degraded_stays_ready_and_lists_reasons() -> None:
    readiness = readiness_of(degraded("redis-unavailable (READONLY)"), degraded("redis-evicts"))
    text = "ok\ndegraded: redis-unavailable (READONLY)\ndegraded: redis-evicts\n"
    assert readiness.report() == (200, text)


def test_not_ready_comes_first_whatever_the_order_of_sources() -> None:
    readiness = readiness_of(degraded("redis-evicts"), not_ready("draining"))
    assert readiness.report() == (503, "not ready: draining\ndegraded: redis-evicts\n")


def test_sources_are_called_at_every_report() -> None:
    conditions = [not_ready("draining")]
    readiness = Readiness()
    readiness.add(lambda: conditions)
    assert readiness.report()[0] == 503
    conditions.clear()
    assert readiness.report()[0] == 200
