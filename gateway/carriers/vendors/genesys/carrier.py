"""Genesys Cloud AudioHook: settings and authentication. Pure.

There is no webhook. The gateway's media URL, an API key and its client secret are configured at
Genesys, per integration. Each upgrade is signed with the secret, for that URL, and has a nonce. The
protocol is in `adapter.py`. Source: developer.genesys.cloud/devapps/audiohook.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec
from pydantic import AfterValidator, Field, PositiveFloat, SecretStr

from common.settings import Names, config
from gateway.carriers.auth import http_signature as signature
from gateway.carriers.carrier import Carrier, Request, SingleUse, Upgrade
from gateway.carriers.settings import AudioSettings
from gateway.carriers.vendors.genesys.adapter import AudioHookAdapter
from gateway.errors import CarrierError

_MIN_SECRET_BYTES: Final = 16


def _read_api_keys(text: str) -> Mapping[str, Sequence[bytes]]:
    """Parse `{"<API key>": "<client secret, base64>"}`; several secrets are separated by commas.

    Raises:
        ValueError: the text is invalid. The message quotes nothing, because any part of the text
            may be a secret.
    """
    try:
        keys = msgspec.json.decode(text, type=dict[str, str])
        secrets = {
            key: [base64.b64decode(each.strip(), validate=True) for each in listed.split(",")]
            for key, listed in keys.items()
        }
    except (msgspec.DecodeError, UnicodeEncodeError, binascii.Error, ValueError):
        raise ValueError('must be {"<API key>": "<client secret, base64>"}') from None
    sizes = [len(secret) for each in secrets.values() for secret in each]
    if not secrets or "" in secrets or min(sizes) < _MIN_SECRET_BYTES:
        raise ValueError(f"each API key needs a secret of {_MIN_SECRET_BYTES} bytes or more")
    return secrets


def _check_api_keys(text: SecretStr) -> SecretStr:
    _read_api_keys(text.get_secret_value())
    return text


class Genesys(Carrier):
    """AudioHook; disabled unless API keys are configured."""

    name = "genesys"
    refusal_status = 401
    refusal_delay_s = 0.5  # equal for all, so that timing does not reveal which check failed

    class Settings(AudioSettings):
        """The carrier's settings."""

        model_config = config("GATEWAY_GENESYS_", env_file=".env")

        api_keys: Annotated[SecretStr, AfterValidator(_check_api_keys)] | None = Field(
            None,
            description='JSON: {"<API key>": "<its client secret, base64>"}, as configured at '
            "Genesys; several secrets of one key are separated by commas. If it is unset, Genesys "
            "is disabled.",
        )
        organization_ids: Names = Field(
            (), description="Accept only these organizations, comma-separated. Default: any."
        )
        signature_max_age_s: PositiveFloat = Field(
            30, description="Maximum age of an upgrade's signature."
        )
        clock_skew_s: float = Field(
            10, ge=0, description="How far Genesys' clock may be ahead of the gateway's."
        )
        send_transcripts: bool = Field(
            False,
            description="Send final transcripts to Genesys, as the session's `event` messages.",
        )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secrets = (
            _read_api_keys(settings.api_keys.get_secret_value()) if settings.api_keys else {}
        )

    @property
    def missing_setting(self) -> str | None:
        """Name of the setting whose absence disables the carrier; None if it is set."""
        return None if self._secrets else "GATEWAY_GENESYS_API_KEYS"

    def upgrade(self, request: Request) -> Upgrade:
        """Verify the upgrade's signature; see `Carrier`."""
        settings = self._settings
        authority, slash, rest = request.url.partition("://")[2].partition("/")
        signed = signature.verify(
            request.headers,
            slash + rest,
            authority,
            self._secrets,
            request.now_s,
            max_age_s=settings.signature_max_age_s,
            skew_s=settings.clock_skew_s,
        )
        organization_id = signed.organization_id
        if settings.organization_ids and organization_id not in settings.organization_ids:
            raise CarrierError("identity-mismatch", "organization")
        adapter = AudioHookAdapter(
            signed.session_id, organization_id, send_transcripts=settings.send_transcripts
        )
        return Upgrade(
            settings.inform(adapter),
            once=SingleUse(f"{self.name} {organization_id} {signed.nonce}", signed.until_s),
        )
