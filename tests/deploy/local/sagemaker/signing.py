"""A client's signatures, made with AWS's signer and Smithy's frames, not the endpoint's code."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

from aws_sdk_signers import URI, AsyncSigV4Signer, AWSCredentialIdentity, AWSRequest, Field, Fields
from smithy_aws_event_stream.events import EventMessage

from tests.deploy.local.sagemaker.peers import KEY_ID, SECRET

REGION = "eu-central-1"
PATH = "/endpoints/callscribe/invocations-bidirectional-stream"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def sign_request(
    when: datetime,
    host: str = "localhost:8443",
    key_id: str = KEY_ID,
    secret: str = SECRET,
    token: str | None = None,
    path: str = PATH,
    query: str | None = None,
    **more: str,
) -> dict[str, str]:
    """Return the headers of a signed request, by lower-case name."""
    headers = {
        "content-type": "application/vnd.amazon.eventstream",
        "host": host,
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-EVENTS",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    request = AWSRequest(
        destination=URI(host=host.partition(":")[0], path=path, query=query),
        method="POST",
        body=None,
        fields=Fields([Field(name=name, values=[value]) for name, value in headers.items()]),
    )
    identity = AWSCredentialIdentity(
        access_key_id=key_id, secret_access_key=secret, session_token=token
    )
    signed = await AsyncSigV4Signer().sign(
        request=request,
        identity=identity,
        properties={
            "region": REGION,
            "service": "sagemaker",
            "date": when.strftime("%Y%m%dT%H%M%SZ"),
        },
    )
    return {field.name.lower(): field.as_string() for field in signed.fields}


def part(data: bytes, **headers: str) -> bytes:
    """Encode a PayloadPart event."""
    named = {":message-type": "event", ":event-type": "PayloadPart", "DataType": "UTF8"}
    return EventMessage(headers=named | headers, payload=data).encode()


class EventSigner:
    """Signs events with any date; AWS's own signer always uses the current time."""

    def __init__(self, request_headers: dict[str, str], secret: str = SECRET) -> None:
        self.prior = request_headers["authorization"].rpartition("Signature=")[2]
        self._secret = secret

    def sign(self, payload: bytes, when: datetime) -> EventMessage:
        """Sign the next event."""
        date_ms = (when - EPOCH) // timedelta(milliseconds=1)
        encoded_date = b"\x05:date\x08" + date_ms.to_bytes(8, "big")
        day = when.strftime("%Y%m%d")
        lines = (
            "AWS4-HMAC-SHA256-PAYLOAD",
            when.strftime("%Y%m%dT%H%M%SZ"),
            f"{day}/{REGION}/sagemaker/aws4_request",
            self.prior,
            hashlib.sha256(encoded_date).hexdigest(),
            hashlib.sha256(payload).hexdigest(),
        )
        key = f"AWS4{self._secret}".encode()
        for value in (day, REGION, "sagemaker", "aws4_request", "\n".join(lines)):
            key = hmac.new(key, value.encode(), hashlib.sha256).digest()
        self.prior = key.hex()
        return EventMessage(headers={":date": when, ":chunk-signature": key}, payload=payload)
