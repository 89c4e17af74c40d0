"""Talkdesk's real-time audio streaming (Studio component "Stream audio"). Pure.

The messages are Twilio's, always with mu-law and both tracks. The labels are reversed: `inbound` is
the agent. Nothing is signed and no header can be set, so the last segment of the stream's URL is
the secret: `wss://.../media/talkdesk/<route>/<secret>`. Sources: docs.talkdesk.com,
Real-time audio streaming; the labels are those of AWS's Live Call Analytics,
github.com/aws-samples/amazon-transcribe-live-call-analytics.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from pydantic import Field

from common.settings import config
from gateway.carriers.auth.stream_authenticator import AuthenticatedCarrier, StreamAuthenticator
from gateway.carriers.carrier import Request, Upgrade
from gateway.carriers.events import CallStarted
from gateway.carriers.protocols.dialect import Dialect
from gateway.carriers.protocols.json_media import JsonMediaAdapter
from gateway.carriers.settings import L16Settings, SecretSettings
from gateway.errors import CarrierError

DIALECT: Final = Dialect(carrier="talkdesk", roles={"inbound": "agent", "outbound": "customer"})


class Talkdesk(AuthenticatedCarrier):
    """Talkdesk; disabled unless its secret is configured."""

    name = "talkdesk"

    class Settings(L16Settings, SecretSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_TALKDESK_", env_file=".env")

        account: str | None = Field(None, description="Reject streams with another `account_id`.")

    def __init__(self, settings: Settings) -> None:
        self._account = settings.account
        self.authenticator = StreamAuthenticator(self.name, settings, secret_in_url=True)

    def upgrade(self, request: Request) -> Upgrade:
        """Authenticate by the secret in the URL; see `Carrier`."""
        upgrade = self.authenticator.upgrade(request, partial(JsonMediaAdapter, DIALECT))
        return replace(upgrade, authorize=self._with_account_check(upgrade.authorize))

    def _with_account_check(
        self, authorize: Callable[[CallStarted], None]
    ) -> Callable[[CallStarted], None]:
        def check(start: CallStarted) -> None:
            authorize(start)
            if self._account and start.params.get("account_id") != self._account:
                raise CarrierError("identity-mismatch")

        return check
