"""What was shown once is refused, here and elsewhere, as long as it would be believed."""

import pytest

from gateway.carriers.carrier import Once
from gateway.errors import CarrierError, PublishError
from gateway.ingress.once import Shown


class Elsewhere:
    """What all gateways remember together."""

    def __init__(self) -> None:
        self.claimed: dict[str, float] = {}
        self.is_away = False
        self.now_s = 1000.0

    async def claim(self, key: str, seconds: float) -> bool:
        if self.is_away:
            raise PublishError("redis-unavailable")
        if key in self.claimed:
            return False
        self.claimed[key] = seconds
        return True

    def gateway(self) -> Shown:
        return Shown(self.claim, lambda: self.now_s)


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


async def test_once_and_never_again(elsewhere: Elsewhere) -> None:
    shown = elsewhere.gateway()
    await shown.refuse_again(Once("a", 1060))
    await shown.refuse_again(Once("b", 1060))
    with pytest.raises(CarrierError, match="replayed"):
        await shown.refuse_again(Once("a", 1060))


async def test_not_at_another_gateway_either(elsewhere: Elsewhere) -> None:
    await elsewhere.gateway().refuse_again(Once("a", 1060))
    with pytest.raises(CarrierError, match="replayed"):
        await elsewhere.gateway().refuse_again(Once("a", 1060))


async def test_without_the_others_each_remembers_for_itself(elsewhere: Elsewhere) -> None:
    elsewhere.is_away = True
    shown = elsewhere.gateway()
    await shown.refuse_again(Once("a", 1060))
    with pytest.raises(CarrierError, match="replayed"):
        await shown.refuse_again(Once("a", 1060))


async def test_nothing_is_remembered_longer_than_it_is_believed(elsewhere: Elsewhere) -> None:
    shown = elsewhere.gateway()
    await shown.refuse_again(Once("a", 1060))
    assert list(elsewhere.claimed.values()) == [120]  # and a minute, for clocks that differ
    elsewhere.claimed.clear()
    elsewhere.now_s = 1121
    await shown.refuse_again(Once("a", 1181))


async def test_what_was_shown_is_kept_as_a_digest(elsewhere: Elsewhere) -> None:
    await elsewhere.gateway().refuse_again(Once("a-secret", 1060))
    assert "secret" not in str(elsewhere.claimed)


async def test_nothing_to_refuse(elsewhere: Elsewhere) -> None:
    shown = elsewhere.gateway()
    await shown.refuse_again(None)
    await shown.refuse_again(None)
