"""Posted forms as carriers send them. Pure."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from gateway.carriers.carrier import Announced, Request
from gateway.errors import CarrierError

_MAX_FIELDS: Final = 200  # some thirty are usual
_FORM: Final = "application/x-www-form-urlencoded"


def read_form(request: Request) -> list[tuple[str, str]]:
    """Read a form's fields, in their order; what the client says of its charset is ignored.

    A decoder that the client chooses could take a second for a small body.

    Raises:
        CarrierError: unsupported-body or malformed-body.
    """
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise CarrierError("unsupported-body", f"expected {_FORM}")
    try:
        return parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise CarrierError("malformed-body") from None


def read_call(form: Sequence[tuple[str, str]], id_name: str) -> Announced:
    """Read which call a form announces, and the number dialled.

    Raises:
        CarrierError: malformed-body: it says nothing of a call.
    """
    fields = dict(form)
    if not (call_id := fields.get(id_name)):
        raise CarrierError("malformed-body", f"{id_name} is missing")
    return Announced(call_id, fields.get("To"))
