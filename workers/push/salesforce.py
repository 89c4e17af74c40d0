"""Sends finals to Salesforce Voice, where representatives see them beside the call.

Create a Transcript:
https://developer.salesforce.com/docs/atlas.en-us.voice_developer_guide.meta/voice_developer_guide/voice_rest_voicecalls_transcript.htm
Authorization:
https://developer.salesforce.com/docs/atlas.en-us.voice_developer_guide.meta/voice_developer_guide/voice_rest_authorization.htm
"""

import uuid
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, unquote

import jwt
import msgspec
from aiohttp import ClientSession

from workers.push.delivery import Result
from workers.push.messages import TEST, Message
from workers.push.subscriptions import Endpoint
from workers.push.webhook import post

_AUDIENCE: Final = "https://scrt.salesforce.com"
_TOKEN_S: Final = 300  # at most 24 h are allowed
_MALFORMED: Final = 400  # the same request would be refused again
# The agent's side is one participant: which representative speaks is not known here.
_SENDERS: Final = {"customer": "END_USER", "agent": "VIRTUAL_AGENT"}
_encode: Final = msgspec.json.Encoder().encode


class SalesforceAdapter:
    """Creates a transcript entry of each final; implements `Adapter`.

    Args:
        session: from `open_session`.
        endpoint: the base URL, which ends with `/telephony/v1`, the private key, and the names of
            the organization and the call center.
    """

    def __init__(self, session: ClientSession, endpoint: Endpoint) -> None:
        self._session = session
        self._endpoint = endpoint

    async def deliver(self, message: Message, attempt: int) -> Result:
        """Create an entry; see `Adapter`. Its id is the message's, in each attempt."""
        if message.type == TEST:
            return Result(reason="no-words", is_skipped=True)
        body = msgspec.json.decode(message.body)
        entry = entry_of(message.id, body)
        if isinstance(entry, Result):
            return entry
        call = quote(call_key(body), safe="")
        url = f"{self._endpoint.url.rstrip('/')}/voiceCalls/{call}/messages"
        result = await post(self._session, url, _encode(entry), self.headers(datetime.now(UTC)))
        if result.status == _MALFORMED:
            return Result(result.status, result.reason, is_final=True)
        return result

    def headers(self, now: datetime) -> dict[str, str]:
        """Return the headers of a request, with a token of its own: each may be used once."""
        issued_s = int(now.timestamp())
        claims = {
            "iss": self._endpoint.org_id,
            "sub": self._endpoint.call_center,
            "aud": _AUDIENCE,
            "iat": issued_s,
            "exp": issued_s + _TOKEN_S,
            "jti": str(uuid.uuid4()),
        }
        token = jwt.encode(claims, self._endpoint.secrets[0], algorithm="RS256")
        return {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Telephony-Provider-Name": self._endpoint.provider,
        }


def call_key(body: dict[str, Any]) -> str:
    """Return the carrier's own id of a message's call: Salesforce's vendorCallKey."""
    return unquote(body["data"]["call_id"])


def entry_of(message_id: str, body: dict[str, Any]) -> dict[str, Any] | Result:
    """Return the request's content for a final, or a result if there is nothing to request."""
    final = body["data"]
    sender = _SENDERS.get(final["role"])
    if sender is None:
        return Result(reason="unknown-role", is_final=True)
    if not final["text"].strip():
        return Result(reason="no-words", is_skipped=True)
    zero_ms = _zero_ms(body)
    return {
        "participantId": f"{call_key(body)}{sender}",
        "messageId": message_id,
        "startTime": zero_ms + final["start_ms"],
        "endTime": zero_ms + final["end_ms"],
        "content": final["text"],
        "senderType": sender,
    }


def _zero_ms(body: dict[str, Any]) -> int:
    """Return the Unix ms at which the media clock was 0, approximately."""
    if started := body.get("started_at"):
        return round(datetime.fromisoformat(started).timestamp() * 1000)
    ended = datetime.fromisoformat(body["timestamp"])
    return max(0, round(ended.timestamp() * 1000) - int(body["data"]["end_ms"]))
