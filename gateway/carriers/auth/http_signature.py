"""Verify HTTP Message Signatures (draft 11), with which Genesys signs upgrades. Pure.

    Signature-Input: sig1=("@request-target" "@authority" "x-api-key" ...);keyid="..";created=..
    Signature: sig1=:base64 of HMAC-SHA256:

The signed text has one line for each covered component. Its last line is the value of
Signature-Input exactly as received, because any other spelling would change the text. Both headers
are dictionaries of RFC 8941. Repeated labels and parameters are rejected, although the RFC allows
them, and so are types of values that these headers never have. The URL's scheme is not signed; its
host, path and query are, as the client knows them.

Sources: draft-ietf-httpbis-message-signatures-11; audiohook-reference-implementation,
httpsignature/signature-verifier.ts and authenticator.ts.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.carriers.auth.signatures.checks import any_equal
from gateway.errors import CarrierError

API_KEY: Final = "x-api-key"
ORGANIZATION_ID: Final = "audiohook-organization-id"
SESSION_ID: Final = "audiohook-session-id"

_COVERED: Final = (
    "@request-target",
    "@authority",
    ORGANIZATION_ID,
    SESSION_ID,
    "audiohook-correlation-id",
    API_KEY,
)
_ALGORITHM: Final = "hmac-sha256"
_NONCE_CHARS: Final = range(22, 257)  # shorter ones may repeat by chance; longer ones take memory
_DEFAULT_PORT: Final = ":443"

_KEY: Final = r"[a-z*][a-z0-9_.*-]*"
_STRING: Final = r'"(?:[ !#-\[\]-~]|\\["\\])*"'
_PARAMETER: Final = rf";[ ]*{_KEY}=(?:{_STRING}|[0-9]{{1,15}})"
_NAME: Final = r'"@?[a-z0-9-]+"'
_INPUT: Final = rf"\([ ]*{_NAME}(?:[ ]+{_NAME})*[ ]*\)(?:{_PARAMETER})*"
_SIGNATURE: Final = r":(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?:"


@dataclass(frozen=True, slots=True)
class Signed:
    """The values that a valid signature authenticates."""

    organization_id: str
    session_id: str
    nonce: str = field(repr=False)  # must be accepted only once ...
    until_s: float  # ... until this Unix time, when the signature has expired


@dataclass(frozen=True, slots=True)
class _Input:
    """A parsed member of Signature-Input, and its text."""

    text: str
    components: Sequence[str]
    parameters: Mapping[str, str | int]

    @classmethod
    def read(cls, text: str) -> "_Input":
        listed, _, rest = text.partition(")")
        pairs = re.findall(rf";[ ]*({_KEY})=({_STRING}|[0-9]+)", rest)
        parameters = {name: _unquote(v) if v.startswith('"') else int(v) for name, v in pairs}
        if len(parameters) < len(pairs):
            raise CarrierError("signature-invalid", "repeated parameter")
        return cls(text, [_unquote(name) for name in re.findall(_NAME, listed)], parameters)


def sign(
    headers: Mapping[str, str],
    target: str,
    authority: str,
    secret: bytes,
    *,
    nonce: str,
    created_s: int,
    expires_s: int,
) -> dict[str, str]:
    """Compute the two headers that sign an upgrade; see `verify`."""
    names = " ".join(f'"{name}"' for name in _COVERED)
    text = (
        f'({names});keyid="{headers[API_KEY]}";nonce="{nonce}";alg="{_ALGORITHM}"'
        f";created={created_s};expires={expires_s}"
    )
    mac = base64.b64encode(_mac(secret, _Input.read(text), headers, target, authority)).decode()
    return {"Signature-Input": f"sig1={text}", "Signature": f"sig1=:{mac}:"}


def verify(
    headers: Mapping[str, str],
    target: str,
    authority: str,
    secrets: Mapping[str, bytes | Sequence[bytes]],
    now_s: float,
    *,
    max_age_s: float = 30.0,
    skew_s: float = 10.0,
) -> Signed:
    """Verify an upgrade's signature.

    Args:
        headers: the request's headers, case-insensitive.
        target: the path and query of the URL that is configured at the client.
        authority: the host of that URL, with its port unless that is 443.
        secrets: by API key, one decoded secret, or several of which any may have signed. An empty
            secret is rejected, because anyone could sign with it.
        now_s: the current time, Unix seconds.
        max_age_s: the maximum age of a signature.
        skew_s: how far the client's clock may be ahead of the gateway's.

    Raises:
        CarrierError: signature-missing or signature-invalid.
    """
    api_key, inputs, signatures = (
        headers.get(name, "").strip() for name in (API_KEY, "Signature-Input", "Signature")
    )
    if not (api_key and inputs and signatures):
        raise CarrierError("signature-missing")
    label, signed = _find(inputs, api_key)
    given = base64.b64decode(_members(signatures, _SIGNATURE).get(label, "::")[1:-1])
    known = secrets.get(api_key, b"")
    keys = [known] if isinstance(known, bytes) else known
    macs = [_mac(key, signed, headers, target, authority) for key in keys]
    if not any_equal([given], macs) or not all(keys):
        raise CarrierError("signature-invalid")
    return Signed(
        organization_id=headers[ORGANIZATION_ID].strip(),
        session_id=headers[SESSION_ID].strip(),
        nonce=_check_nonce(signed.parameters),
        until_s=_check_times(signed.parameters, now_s, max_age_s, skew_s),
    )


def _find(inputs: str, api_key: str) -> tuple[str, _Input]:
    """Find the signature made with the client's API key; proxies may add others."""
    for label, text in _members(inputs, _INPUT).items():
        signed = _Input.read(text)
        if signed.parameters.get("keyid") == api_key:
            _check_coverage(signed)
            return label, signed
    raise CarrierError("signature-invalid", "keyid")


def _check_coverage(signed: _Input) -> None:
    names = set(signed.components)
    if not names.issuperset(_COVERED) or len(names) < len(signed.components):
        raise CarrierError("signature-invalid", "components")
    if signed.parameters.get("alg", _ALGORITHM) != _ALGORITHM:
        raise CarrierError("signature-invalid", "algorithm")


def _check_nonce(parameters: Mapping[str, str | int]) -> str:
    nonce = parameters.get("nonce")
    if not isinstance(nonce, str) or len(nonce) not in _NONCE_CHARS:
        raise CarrierError("signature-invalid", "nonce")
    return nonce


def _check_times(
    parameters: Mapping[str, str | int], now_s: float, max_age_s: float, skew_s: float
) -> float:
    """Check the times of the signature, and return when it exceeds its maximum age."""
    created_s = parameters.get("created")
    if not isinstance(created_s, int) or not now_s - max_age_s < created_s <= now_s + skew_s:
        raise CarrierError("signature-invalid", "too old, or ahead of the gateway's clock")
    expires_s = parameters.get("expires", created_s + max_age_s)
    if isinstance(expires_s, str) or expires_s <= now_s:
        raise CarrierError("signature-invalid", "expired")
    return created_s + max_age_s


def _mac(
    secret: bytes, signed: _Input, headers: Mapping[str, str], target: str, authority: str
) -> bytes:
    derived = {
        "@request-target": target,
        "@authority": authority.lower().removesuffix(_DEFAULT_PORT),
    }
    lines = []
    for name in signed.components:
        value = (derived if name.startswith("@") else headers).get(name, "").strip()
        if not value:
            raise CarrierError("signature-invalid", "a component is missing")
        lines.append(f'"{name}": {value}')
    lines.append(f'"@signature-params": {signed.text}')
    # Headers may hold bytes that are not valid text.
    base = "\n".join(lines).encode(errors="surrogateescape")
    return hmac.digest(secret, base, hashlib.sha256)


def _members(dictionary: str, value: str) -> dict[str, str]:
    """Parse a dictionary into the text of each member by its label."""
    member = re.compile(rf"({_KEY})=({value})(?:[ \t]*,[ \t]*(?=\S)|\Z)")
    members: dict[str, str] = {}
    end = 0
    while end < len(dictionary):
        found = member.match(dictionary, end)
        if not found or found[1] in members:
            raise CarrierError("signature-invalid", "not well-formed")
        members[found[1]] = found[2]
        end = found.end()
    return members


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])
