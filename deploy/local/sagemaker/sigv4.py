"""Verify Signature Version 4: the request's signature and the chain of its events. Pure.

    request  HMAC(key(day), "AWS4-HMAC-SHA256" / date / scope / sha256(canonical request))
    event k  HMAC(key(day of event k), "AWS4-HMAC-SHA256-PAYLOAD" / date / scope / signature k-1
             / sha256(encoded :date header) / sha256(payload)); signature 0 is the request's

An altered, dropped, repeated or reordered event breaks the chain. The region is the one that the
client names, as this endpoint serves every region.

Source: IAM User Guide, "Create a signed AWS API request"; events: the AWS SDK's signer.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from deploy.local.sagemaker.eventstream import Event, Timestamp

SERVICE = "sagemaker"
EVENTS_MARKER = "STREAMING-AWS4-HMAC-SHA256-EVENTS"
MAX_SKEW_S = 300.0
_DATE_FORMAT = "%Y%m%dT%H%M%SZ"
_DATE_HEADER_PREFIX = b"\x05:date\x08"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key_id>[^/,]+)/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)"
    r"/(?P<service>[a-z0-9-]+)/aws4_request,\s*SignedHeaders=(?P<signed>[a-z0-9;:-]+),\s*"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


class SignatureError(Exception):
    """A request or event whose signature is invalid; `code` is AWS's error name."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of the only accepted client."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def verify_request(
    method: str, target: str, headers: Mapping[str, str], credentials: Credentials, now_s: float
) -> "EventChain":
    """Verify a request's signature and start the chain of its events.

    Args:
        method: of the request.
        target: path and query exactly as received.
        headers: by lower-case name, including `host`.
        credentials: of the only accepted client.
        now_s: seconds since the epoch.

    Raises:
        SignatureError: the signature is missing, malformed, out of date, or not that client's.
    """
    if "authorization" not in headers:
        raise SignatureError("MissingAuthenticationTokenException", "the request is not signed")
    claim = _AUTHORIZATION.fullmatch(headers["authorization"])
    if claim is None or claim["service"] != SERVICE:
        raise SignatureError("IncompleteSignatureException", "the authorization is malformed")
    _check_identity(claim["key_id"], headers.get("x-amz-security-token"), credentials)
    signed = claim["signed"].split(";")
    _check_signed_headers(signed, headers)
    date = headers["x-amz-date"]
    if claim["day"] != date[:8]:
        raise SignatureError("InvalidSignatureException", "the scope is of another day")
    _check_skew(_parse_date(date), now_s)
    chain = EventChain(credentials.secret_access_key, claim["region"], claim["signature"])
    expected = chain.request_signature(date, _canonical_request(method, target, headers, signed))
    if not hmac.compare_digest(expected, claim["signature"]):
        raise SignatureError("InvalidSignatureException", "the request's signature does not match")
    return chain


class EventChain:
    """Verifies the signatures of one stream's events, in order."""

    def __init__(self, secret_access_key: str, region: str, signature: str) -> None:
        self._secret = secret_access_key
        self._region = region
        self._prior = signature
        self._second = -1  # of `_date`, `_scope` and `_key`, which many events share
        self._date = self._scope = self._day = ""
        self._key = b""

    def verify(self, event: Event, now_s: float) -> None:
        """Verify the next event.

        Raises:
            SignatureError: the signature does not continue the chain, or is out of date.
        """
        date = event.headers.get(":date")
        signature = event.headers.get(":chunk-signature")
        if not isinstance(date, Timestamp) or not isinstance(signature, bytes):
            raise SignatureError("InvalidSignatureException", "an event is not signed")
        _check_skew(date / 1000, now_s)
        if date // 1000 != self._second:
            self._second = date // 1000
            self._use_date(datetime.fromtimestamp(self._second, UTC).strftime(_DATE_FORMAT))
        encoded_date = _DATE_HEADER_PREFIX + date.to_bytes(8, "big", signed=True)
        to_sign = (
            f"AWS4-HMAC-SHA256-PAYLOAD\n{self._date}\n{self._scope}\n{self._prior}\n"
            f"{hashlib.sha256(encoded_date).hexdigest()}\n"
            f"{hashlib.sha256(event.payload).hexdigest()}"
        )
        expected = hmac.digest(self._key, to_sign.encode(), "sha256")
        if not hmac.compare_digest(expected, signature):
            raise SignatureError("InvalidSignatureException", "an event's signature does not match")
        self._prior = expected.hex()

    def request_signature(self, date: str, canonical_request: str) -> str:
        """Return the expected signature of a request as hex."""
        self._use_date(date)
        to_sign = (
            f"AWS4-HMAC-SHA256\n{self._date}\n{self._scope}\n"
            f"{hashlib.sha256(canonical_request.encode()).hexdigest()}"
        )
        return hmac.digest(self._key, to_sign.encode(), "sha256").hex()

    def _use_date(self, date: str) -> None:
        """Set the date to sign for and, if the UTC day has changed, derive that day's key."""
        self._date = date
        if date[:8] == self._day:
            return
        self._day = date[:8]
        self._scope = f"{self._day}/{self._region}/{SERVICE}/aws4_request"
        self._key = f"AWS4{self._secret}".encode()
        for value in (self._day, self._region, SERVICE, "aws4_request"):
            self._key = hmac.digest(self._key, value.encode(), "sha256")


def _check_identity(key_id: str, token: str | None, credentials: Credentials) -> None:
    known = hmac.compare_digest(key_id.encode(), credentials.access_key_id.encode())
    wanted = (credentials.session_token or "").encode()
    if not (known & hmac.compare_digest((token or "").encode(), wanted)):
        raise SignatureError("UnrecognizedClientException", "the security token is invalid")


def _check_signed_headers(signed: list[str], headers: Mapping[str, str]) -> None:
    """Check that the host and every present x-amz header are signed, as AWS requires."""
    required = {name for name in headers if name.startswith("x-amz-")} | {"host", "x-amz-date"}
    if not (required <= set(signed) <= headers.keys()) or signed != sorted(signed):
        raise SignatureError("IncompleteSignatureException", "a header is not signed")
    if headers.get("x-amz-content-sha256") != EVENTS_MARKER:
        raise SignatureError("InvalidSignatureException", "the body is not a signed event stream")


def _parse_date(date: str) -> float:
    try:
        return datetime.strptime(date, _DATE_FORMAT).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise SignatureError("IncompleteSignatureException", "the date is malformed") from None


def _check_skew(date_s: float, now_s: float) -> None:
    if abs(now_s - date_s) > MAX_SKEW_S:
        raise SignatureError(
            "InvalidSignatureException", "the signature is expired or not yet valid"
        )


def _canonical_request(
    method: str, target: str, headers: Mapping[str, str], signed: list[str]
) -> str:
    path, _, query = target.partition("?")
    parameters = sorted(part if "=" in part else f"{part}=" for part in query.split("&") if part)
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in signed]
    return "\n".join(
        (
            method,
            quote(path, safe="/-_.~"),  # quoted a second time, as all services except S3 require
            "&".join(parameters),
            *lines,
            "",
            ";".join(signed),
            EVENTS_MARKER,
        )
    )
