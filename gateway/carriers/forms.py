"""What carriers post: forms and JSON. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl

from gateway.carriers.carrier import Announced, Request
from gateway.carriers.dialect import read
from gateway.errors import CarrierError

_MAX_FIELDS: Final = 200  # some thirty are usual
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


def read_form(request: Request) -> list[tuple[str, str]]:
    """Read a form's fields, in their order; what the client says of its charset is ignored.

    A decoder that the client chooses could take a second for a small body.

    Raises:
        CarrierError: unsupported-body or malformed-body.
    """
    _require(_FORM, request)
    try:
        return parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise CarrierError("malformed-body") from None


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


def _require(kind: str, request: Request) -> None:
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != kind:
        raise CarrierError("unsupported-body", f"expected {kind}")
