"""What was shown before is refused, or answered alike: here and at other gateways."""

import pytest

from gateway.carriers.carrier import SingleUse
from gateway.errors import CarrierError
from gateway.ingress.replay_guard import ReplayGuard
from gateway.redis_client.single_use_store import RedisSingleUseStore
from tests.gateway.ingress.remembered import Remembered
from tests.gateway.publishing.publisher_harness import client_of

DAY_S = 86_400


class Elsewhere(Remembered):
    """What all gateways remember together."""

    now_s = 1000.0

    def gateway(self) -> ReplayGuard:
        return ReplayGuard(self, lambda: self.now_s, DAY_S)


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


async def test_once_and_never_again(elsewhere: Elsewhere) -> None:
    shown = elsewhere.gateway()
    await shown.refuse_again(SingleUse("a", 1060))
    await shown.refuse_again(SingleUse("b", 1060))
    with pytest.raises(CarrierError, match="replayed"):
        await shown.refuse_again(SingleUse("a", 1060))


async def test_not_at_another_gateway_either(elsewhere: Elsewhere) -> None:
    await elsewhere.gateway().refuse_again(SingleUse("a", 1060))
    with pytest.raises(CarrierError, match="replayed"):
        await elsewhere.gateway().refuse_again(SingleUse("a", 1060))


async def test_without_the_others_each_remembers_for_itself(elsewhere: Elsewhere) -> None:
    elsewhere.is_away = True
    shown = elsewhere.gateway()
    await shown.refuse_again(SingleUse("a", 1060))
    with pytest.raises(CarrierError, match="replayed"):
        await shown.refuse_again(SingleUse("a", 1060))


async def test_nothing_is_remembered_longer_than_it_is_believed(elsewhere: Elsewhere) -> None:
    shown = elsewhere.gateway()
    await shown.refuse_again(SingleUse("a", 1060))
    assert list(elsewhere.seconds.values()) == [120]  # and a minute, for clocks that differ
    elsewhere.moments.clear()
    elsewhere.now_s = 1121
    await shown.refuse_again(SingleUse("a", 1181))


async def test_what_was_shown_is_kept_as_a_digest(elsewhere: Elsewhere) -> None:
    await elsewhere.gateway().refuse_again(SingleUse("a-secret", 1060))
    assert "secret" not in str(elsewhere.moments)


async def test_nothing_to_refuse(elsewhere: Elsewhere) -> None:
    shown = elsewhere.gateway()
    await shown.refuse_again(None)
    await shown.refuse_again(None)


class TestUsedUp:
    async def test_good_again_and_again_until_it_is_used_up(self, elsewhere: Elsewhere) -> None:
        here, there = elsewhere.gateway(), elsewhere.gateway()
        once = SingleUse("a", 1300, until_end=True)
        for gateway in (here, here, there):
            await gateway.refuse_used_up(once)
        await here.use_up(once)
        for gateway in (here, there, elsewhere.gateway()):
            with pytest.raises(CarrierError, match="replayed"):
                await gateway.refuse_used_up(once)

    async def test_without_the_others_where_it_was_used_up(self, elsewhere: Elsewhere) -> None:
        elsewhere.is_away = True
        here, there = elsewhere.gateway(), elsewhere.gateway()
        once = SingleUse("a", 1300, until_end=True)
        await here.use_up(once)
        with pytest.raises(CarrierError, match="replayed"):
            await here.refuse_used_up(once)
        await there.refuse_used_up(once)


class TestFirstShown:
    async def test_the_same_moment_for_all(self, elsewhere: Elsewhere) -> None:
        """Symptom: a webhook that the vendor sent again after a time-out was refused."""
        once = SingleUse("a", None)
        assert await elsewhere.gateway().first_shown(once) == 1000
        elsewhere.now_s = 1299
        shown = elsewhere.gateway()
        assert await shown.first_shown(once) == 1000
        assert await shown.first_shown(once) == 1000

    async def test_later_than_carriers_repeat_it_is_refused(self, elsewhere: Elsewhere) -> None:
        """Symptom: a captured webhook without a time had a new token minted, for ever."""
        once = SingleUse("a", None)
        shown = elsewhere.gateway()
        await shown.first_shown(once)
        for later_s in (1301, 1000 + DAY_S):
            elsewhere.now_s = later_s
            for gateway in (shown, elsewhere.gateway()):
                with pytest.raises(CarrierError, match="replayed"):
                    await gateway.first_shown(once)
        assert list(elsewhere.seconds.values()) == [DAY_S + 60]


async def test_redis_remembers_the_first_moment(redis_url: str) -> None:
    async with client_of(redis_url) as client:
        memory = RedisSingleUseStore(client, timeout_s=20)
        assert await memory.find("a") is None
        assert await memory.claim("a", 1000.25, 60) is None
        assert await memory.claim("a", 2000.0, 60) == 1000.25
        assert await memory.find("a") == 1000.25
        assert 0 < await client.ttl("cs:once:a") <= 60
