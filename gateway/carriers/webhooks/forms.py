"""Parse webhooks: forms, JSON, and the query of a GET. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from gateway.carriers.carrier import Announced, Request, StreamStatus
from gateway.carriers.protocols.dialect import read
from gateway.errors import CarrierError

_MAX_FIELDS: Final = 200  # usually about 30
_ENDS: Final = frozenset({  # carriers' events for the end of a stream
    "stream-stopped", "stream-error", "stopped", "failed", "stopstream", "droppedstream",
})  # fmt: skip
_NAME: Final = re.compile(r"[A-Za-z0-9_.\-]{1,128}")
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


def read_form(request: Request) -> list[tuple[str, str]]:
    """Parse a form's fields, in order. The form of a GET is its query.

    The charset that the client names is ignored: some decoders take a second for a small body.

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
    # Signed texts concatenate the URL, names and values: a name must not look like part of a URL.
    if not all(_NAME.fullmatch(name) for name, _ in form):
        raise CarrierError("malformed-body")
    return form


def signed_form(request: Request, form: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Return the fields that are signed besides the URL: none for a GET, whose URL has them."""
    return form if request.method == "POST" else ()


def is_json(request: Request) -> bool:
    """Return whether a request's content type is JSON."""
    return request.method == "POST" and _kind(request) == _JSON


def read_json(request: Request) -> Mapping[str, object]:
    """Parse a JSON object.

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
    """Return the call that a form or an object announces, and the dialed number.

    Raises:
        CarrierError: malformed-body: the call's id is missing.
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
    """Return the status of a stream from a form; it is over if the event is one of `_ENDS`.

    Raises:
        CarrierError: malformed-body: the call, the stream or the event is missing.
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
