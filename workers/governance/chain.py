"""The digests that chain the entries of the audit trail, so that a missing one shows. Pure.

The digest of an entry is SHA-256 over its fields, of which `prev` is the digest of the entry
before. Whoever removes or changes an entry has to write all later ones anew. Then a digest that
somebody noted earlier, from a log or an export, is in no entry.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

TRIMMED: Final = "audit-trimmed"
_LISTED: Final = 20  # problems


class Problem(NamedTuple):
    """Where the chain is broken.

    Attributes:
        entry_id: the entry; empty if the trail as a whole is meant.
        what: in words.
    """

    entry_id: str
    what: str


def seal(prev: str, fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of an entry with `prev` and, as the last one, its `digest`."""
    body = {name: value for name, value in fields.items() if name not in ("prev", "digest")}
    body["prev"] = prev
    return {**body, "digest": _digest(body)}


def verify(
    entries: Iterable[tuple[str, Mapping[str, str]]], *, contains: str = ""
) -> list[Problem]:
    """Return where a trail is not what was written; the first problems.

    Args:
        entries: ids and fields, from the oldest on.
        contains: a digest that was noted earlier, which must be the one of an entry or of one that
            was trimmed.
    """
    problems: list[Problem] = []
    prev: str | None = None
    first_prev, known, trimmed = "", set(), set()
    for entry_id, fields in entries:
        digest = fields.get("digest", "")
        body = {name: value for name, value in fields.items() if name != "digest"}
        if _digest(body) != digest:
            problems.append(Problem(entry_id, "was changed"))
        if prev is None:
            first_prev = fields.get("prev", "")
        elif fields.get("prev") != prev:
            problems.append(Problem(entry_id, "does not follow the entry before: some are missing"))
        if fields.get("action") == TRIMMED:
            trimmed.add(fields.get("last_digest", ""))
        known.add(digest)
        prev = digest
    if first_prev and first_prev not in trimmed:
        problems.append(Problem("", "the beginning is missing, and was not trimmed"))
    if contains and contains not in known | trimmed | {first_prev}:
        problems.append(Problem("", "the noted digest is in no entry: the end was written anew"))
    return problems[:_LISTED]


def _digest(body: Mapping[str, str]) -> str:
    text = json.dumps(list(body.items()), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
