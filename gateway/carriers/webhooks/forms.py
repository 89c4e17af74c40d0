"""What carriers post, forms and JSON, or say in the query of a GET. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from gateway.carriers.carrier import Announced, Request, StreamStatus
from gateway.carriers.protocols.dialect import read
from gateway.errors import CarrierError

_MAX_FIELDS: Final = 200  # some thirty are usual
_ENDS: Final = frozenset({  # of a stream, in the carriers' words
    "stream-stopped", "stream-error", "stopped", "failed", "stopstream", "droppedstream",
})  # fmt: skip
_NAME: Final = re.compile(r"[A-Za-z0-9_.\-]{1,128}")
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


def read_form(request: Request) -> list[tuple[str, str]]:
    """Read a form's fields, in their order; what the client says of its charset is ignored.

    A decoder that the client chooses could take a second for a small body. The form of a GET is its
    query.

    Raises:
        CarrierError: unsupported-body or malformed-body.
    """
    if request.method == "POST":
        _require(_FORM, request)
    try:
        text = request.body.decode() if request.method == "POST" else request.query_text
        form = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise CarrierError("malformed-body") from None
    # Signatures run the URL and names and values together: a name must not look like more URL.
    if not all(_NAME.fullmatch(name) for name, _ in form):
        raise CarrierError("malformed-body")
    return form


def signed_form(request: Request, form: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Return what is signed of a form beside the URL: nothing of a GET's, which is in the URL."""
    return form if request.method == "POST" else ()


def is_json(request: Request) -> bool:
    """Return whether a request says that its body is JSON."""
    return request.method == "POST" and _kind(request) == _JSON


def read_json(request: Request) -> Mapping[str, object]:
    """Read a JSON object.

    Raises:
        CarrierError: unsupported-body or malformed-body.
    """
    _require(_JSON, request)
    try:
        return read(request.body)
    except CarrierError:
        raise CarrierError("malformed-body") from None


def read_call(
    fields: Iterable[tuple[str, object]], id_name: str, called_name: str = "To"
) -> Announced:
    """Read which call a form or an object announces, and the number dialled.

    Raises:
        CarrierError: malformed-body: it says nothing of a call.
    """
    values = dict(fields)
    call_id, called = values.get(id_name), values.get(called_name)
    if not isinstance(call_id, str) or not call_id:
        raise CarrierError("malformed-body", f"{id_name} is missing")
    return Announced(call_id, called if isinstance(called, str) else None)


def read_status(
    form: Iterable[tuple[str, str]],
    call_name: str = "CallSid",
    stream_name: str = "StreamSid",
    event_name: str = "StreamEvent",
) -> StreamStatus:
    """Read what a form says of a stream; an event that is none of its ends is just news.

    Raises:
        CarrierError: malformed-body: it says nothing of a stream.
    """
    values = dict(form)
    names = (call_name, stream_name, event_name)
    if missing := [name for name in names if not values.get(name)]:
        raise CarrierError("malformed-body", f"{' and '.join(missing)} missing")
    call_id, stream_id, event = (values[name] for name in names)
    return StreamStatus(call_id, stream_id, event.lower() in _ENDS)


def _require(kind: str, request: Request) -> None:
    if _kind(request) != kind:
        raise CarrierError("unsupported-body", f"expected {kind}")


def _kind(request: Request) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
