"""The carriers' credentials and signing keys for a local stack.

All values are made up. `./run up` and `./run call` both use them. They only give access to a
gateway that only this machine can reach.
"""

import base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SECRET: Final = "callscribe-on-this-machine"  # noqa: S105 (see above)
_TELNYX_KEY: Final = b"callscribe-on-this-machine-only!"  # an Ed25519 key is any 32 bytes


def _encode(key: bytes) -> str:
    return base64.b64encode(key).decode()


# What carriers use: the secrets in the gateway's settings, and Telnyx's private key.
CREDENTIALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "GATEWAY_TWILIO_AUTH_TOKEN": _SECRET,
        "GATEWAY_TELNYX_SECRET": _SECRET,
        "CALLER_TELNYX_PRIVATE_KEY": _encode(_TELNYX_KEY),
        "GATEWAY_SIGNALWIRE_SECRET": _SECRET,
        "GATEWAY_SIGNALWIRE_SIGNING_KEY": _SECRET,
        "GATEWAY_PLIVO_AUTH_TOKEN": _SECRET,
        "GATEWAY_VONAGE_SECRET": _SECRET,
        "GATEWAY_VONAGE_SIGNATURE_SECRET": _SECRET,
        "GATEWAY_GENESYS_API_KEYS": f'{{"on-this-machine": "{_encode(_SECRET.encode())}"}}',
        "GATEWAY_TALKDESK_SECRET": _SECRET,
        "GATEWAY_JAMBONZ_SECRET": _SECRET,
        "GATEWAY_JAMBONZ_WEBHOOK_SECRET": _SECRET,
        "GATEWAY_FREESWITCH_SECRET": _SECRET,
        "GATEWAY_ASTERISK_SECRET": _SECRET,
        "GATEWAY_BROWSER_SECRET": _SECRET,
        "GATEWAY_BANDWIDTH_SECRET": _SECRET,
        "GATEWAY_BANDWIDTH_WEBHOOK_USERNAME": "callscribe",
        "GATEWAY_BANDWIDTH_WEBHOOK_PASSWORD": _SECRET,
        "GATEWAY_EXOTEL_SECRET": _SECRET,
        "GATEWAY_RINGCX_SECRET": _SECRET,
        "GATEWAY_ACS_SECRET": _SECRET,
        "GATEWAY_AUDIOCODES_SECRET": _SECRET,
        "GATEWAY_CXONE_SECRET": _SECRET,
    }
)

_DIALLED: Final = "+15550100002"  # 555-01xx is reserved for fiction
_DIALLING: Final = ("TWILIO", "TELNYX", "SIGNALWIRE", "PLIVO", "JAMBONZ", "BANDWIDTH")


def gateway_settings() -> dict[str, str]:
    """Return the gateway settings that enable all of these carriers."""
    public_key = Ed25519PrivateKey.from_private_bytes(_TELNYX_KEY).public_key().public_bytes_raw()
    return {
        **{name: value for name, value in CREDENTIALS.items() if name.startswith("GATEWAY_")},
        "GATEWAY_TELNYX_PUBLIC_KEY": _encode(public_key),
        "GATEWAY_VONAGE_NOTIFY_URL": "https://127.0.0.1/",  # ./run call is the application itself
        "GATEWAY_CXONE_EXPERIMENTAL": "true",
        **{f"GATEWAY_{carrier}_DIAL": _DIALLED for carrier in _DIALLING},
    }
