"""Decide what a run of digits and letters is. Pure.

With a cue, a run of a few digits is masked as what the cue announces: people misspeak, and models
mishear. Without one, its checksum or form decides. After a harmless cue ("order number"), only a
card number of a known network, an IBAN and a national number are masked.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import phonenumbers

from workers.redact.checksums import (
    IBAN_LENGTHS,
    NATIONAL_LENGTHS,
    has_issuer,
    iban_length,
    is_card,
    is_national_id,
    is_nino,
    is_routing_number,
)
from workers.redact.cues import Cue
from workers.redact.kinds import Kind, Match
from workers.redact.spoken import MAX_DIGITS, Item, Role, Run

LONG_DIGITS: Final = 7  # a quantity rarely has this many
_CARD_HEADS: Final = (8, 12)
_CARD_DIGITS: Final = 16
_NEAR_WORDS: Final = 15  # from a cue to a short run
_MAX_PHONE_CHECKS: Final = 40  # each costs 50 us
_LETTERED: Final = frozenset({Kind.NATIONAL_ID, Kind.IBAN, Kind.ONE_TIME_CODE})
_TIME: Final = re.compile(r"\d{1,2}:\d\d(?::\d\d)?")
_PRICE: Final = frozenset("$€£¥₹")
_AFTER: Final = frozenset("%€$£¥₹°")
_HARMLESS_FORM: Final = re.compile(  # a date, an IP address, or a number with separators
    r"\d{4}([-/.])\d\d?\1\d\d?|\d\d?([-/.])\d\d?\2\d{4}|\d{1,3}(?:\.\d{1,3}){3}|\d{1,3}(?:,\d{3})+"
)
_UNMASKED: Final = frozenset(  # words before amounts and expiry dates
    re.findall(
        r"\w+",
        "pay paid charge charged charges refund refunded bill billed owe spent "
        "expires expire expiry expiration exp until",
    )
)
_PHONE_FORM: Final = re.compile(r"(?:1[-. ])?\d{3}\)?[-. ]\d{3}[-. ]\d{4}")
_IBAN_HEAD: Final = re.compile(r"[A-Z]{2}\d{2} \d{4} ?\d{4}")
_HEAD: Final = re.compile(r"[A-Z]{2}\d{6}")
_SPELLED_LETTERS: Final = 3  # of an address
_DAY_AND_MONTH: Final = (
    r"(?:0?[1-9]|1[0-2])(?:0?[1-9]|[12]\d|3[01])|(?:0?[1-9]|[12]\d|3[01])(?:0?[1-9]|1[0-2])"
)
_BIRTH_YEAR: Final = r"19[2-9]\d"
_FULL_DATE: Final = re.compile(f"(?:{_DAY_AND_MONTH}){_BIRTH_YEAR}")
_DAY_AND_YEAR: Final = re.compile(rf"(?:[23]0[1-9]|0?[1-9]|[12]\d|3[01])(?:{_BIRTH_YEAR}|[3-9]\d)")
_MONTHS_OR_VERBS: Final = frozenset(["may", "march", "mar"])
_YEARS: Final = re.compile(r"(?:(?:19|20)\d\d){2}")
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_YEAR_WORDS: Final = frozenset(
    ["in", "since", "until", "before", "after", "during", "by", "from", "im", "seit", "en", "desde"]
)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a run was found.

    Attributes:
        text: the whole text.
        cue: the nearest cue before the run.
        distance: words between the cue and the run.
        words_before: the three words before the run; fewer at the beginning.
        is_quantity: whether a unit follows the run.
        region: whose telephone numbers have no country code.
        kinds: what to mask.
        recall: returns the kind of a value that contains these digits and was masked lately.
    """

    text: str = field(repr=False)
    cue: Cue | None
    distance: int
    words_before: tuple[str, ...] = field(repr=False)
    is_quantity: bool
    region: str
    kinds: frozenset[Kind]
    recall: Callable[[str], Kind | None] = field(repr=False)


def classify(run: Run, setting: Setting) -> Match | None:
    """Return the sensitive value that a run contains, or None."""
    digits = run.digits
    if len(digits) > MAX_DIGITS:
        return _whole(run, Kind.NUMBER)
    for find in (_coded, _announced, _full_date, _by_form, _card_head, _corrected, _repeated):
        match = find(run, setting)
        if match and (match.kind in setting.kinds or match.kind is Kind.NUMBER):
            return match
    return None


def is_harmless(run: Run, setting: Setting) -> bool:
    """Return whether a run is a date, a price, a quantity or announced as something harmless."""
    return _is_harmless_cue(setting) or _is_measure(run, setting) or _has_form(run, setting)


def _has_form(run: Run, setting: Setting) -> bool:
    is_written = _HARMLESS_FORM.fullmatch(setting.text, run.start, run.end) is not None
    return is_written or _YEARS.fullmatch(run.digits) is not None


def _is_harmless_cue(setting: Setting) -> bool:
    cue = setting.cue
    return cue is not None and (cue.kind is None or not _is_enabled(cue.kind, setting))


def _is_enabled(kind: Kind, setting: Setting) -> bool:
    return kind is Kind.NUMBER or kind is Kind.EMAIL or kind in setting.kinds


def _is_measure(run: Run, setting: Setting) -> bool:
    if len(run.digits) >= LONG_DIGITS:
        return False
    if setting.is_quantity or not _UNMASKED.isdisjoint(setting.words_before):
        return True
    if _TIME.search(setting.text, run.start, run.end):
        return True
    before = setting.text[max(0, run.start - 2) : run.start].rstrip()
    after = setting.text[run.end : run.end + 2].lstrip()
    return before[-1:] in _PRICE or (after[:1] in _AFTER and after != "")


def _whole(run: Run, kind: Kind) -> Match:
    return Match(run.start, run.end, kind)


def _numeric(run: Run, kind: Kind) -> Match:
    """Return a match from the first item with digits to the last one."""
    items = [each for each in run.items if each.role is not Role.LETTERS] or list(run.items)
    return Match(items[0].start, items[-1].end, kind)


# Codes of letters and digits: IBAN, and national numbers with a checksum or a rare form.


def _coded(run: Run, setting: Setting) -> Match | None:
    items = run.items
    for first, item in enumerate(items):
        if item.role is Role.LETTERS:
            if match := _iban(items[first:]):
                return match
            if _is_login_code(items[first:]):
                return Match(item.start, run.end, Kind.ONE_TIME_CODE)
        if match := _national(items, first, setting):
            return match
    heads = [n for n, item in enumerate(items) if item.role is Role.LETTERS]
    return _iban_head(items[heads[0] :], setting) if heads else None


def _iban(items: tuple[Item, ...]) -> Match | None:
    length = iban_length("".join(each.chars for each in items))
    total = 0
    for each in items:
        total += len(each.chars)
        if length and total >= length:
            return Match(items[0].start, each.end, Kind.IBAN)
    return None


def _iban_head(items: tuple[Item, ...], setting: Setting) -> Match | None:
    """Find the beginning of an IBAN: "FI51 1340 8914", "D E two seven, eight two eight two"."""
    head = "".join(each.chars for each in items[:12])
    is_spelled = len(items) > 2 and len(items[0].chars) == len(items[1].chars) == 1
    is_written = _IBAN_HEAD.match(setting.text, items[0].start)
    is_head = (is_spelled or is_written) and _HEAD.match(head) and head[:2] in IBAN_LENGTHS
    if is_head and not _is_harmless_cue(setting):
        return Match(items[0].start, items[-1].end, Kind.IBAN)
    return None


def _is_login_code(items: tuple[Item, ...]) -> bool:
    """Return whether it is "G-417006"."""
    chars = "".join(each.chars for each in items)
    return chars[0] == "G" and len(chars) == 7 and chars[1:].isdecimal()


def _national(items: tuple[Item, ...], first: int, setting: Setting) -> Match | None:
    """Find a national number that begins at an item; one of digits must be the whole run."""
    chars = ""
    has_letters = False
    for each in items[first:]:
        chars += each.chars
        has_letters |= each.role is Role.LETTERS
        if len(chars) > max(NATIONAL_LENGTHS):
            break
        whole = first == 0 and each is items[-1] and not _is_harmless_cue(setting)
        is_listed = has_letters and not (is_nino(chars) and _is_harmless_cue(setting))
        if (is_listed or whole) and is_national_id(chars):
            return Match(items[first].start, each.end, Kind.NATIONAL_ID)
    return None


# Runs after a cue.


def _announced(run: Run, setting: Setting) -> Match | None:
    cue = setting.cue
    digits = run.digits
    if cue is None or cue.kind is None or not _is_enabled(cue.kind, setting):
        return None
    if cue.kind is Kind.EMAIL:
        letters = sum(each.role is Role.LETTERS for each in run.items)
        return _whole(run, Kind.EMAIL) if letters >= _SPELLED_LETTERS else None
    is_long = len(digits) >= LONG_DIGITS
    if (setting.distance > _NEAR_WORDS and not is_long) or _is_measure(run, setting):
        return None
    if cue.kind is Kind.BIRTH_DATE:
        return _birth_date(run, cue, setting)
    if _is_year(digits, setting) or (cue.inherits and _YEAR.fullmatch(digits)):
        return None
    length = sum(len(each.chars) for each in run.items) if cue.kind is Kind.IBAN else len(digits)
    if length < cue.min_digits and not _is_repeated_pair(digits, setting, cue.kind):
        return None
    if cue.kind in _LETTERED:
        return _whole(run, cue.kind)
    return _numeric(run, cue.kind)


def _is_repeated_pair(digits: str, setting: Setting, kind: Kind) -> bool:
    """Return whether two digits are part of a value that this speaker asked for."""
    return len(digits) == 2 and setting.recall(digits) in (kind, Kind.NUMBER)


def _birth_date(run: Run, cue: Cue, setting: Setting) -> Match | None:
    roles = {each.role for each in run.items}
    has_number = Role.DIGITS in roles or Role.ORDINAL in roles
    is_date = Role.MONTH in roles and (has_number or _is_month(run, setting))
    is_near = setting.distance <= 1 and cue.min_digits == 2  # "born in sixty seven"
    enough = len(run.digits) >= (2 if is_near else max(cue.min_digits, 3))
    if is_date or {Role.ORDINAL, Role.DIGITS} <= roles or enough:
        return _numeric(run, Kind.BIRTH_DATE)
    return None


def _is_month(run: Run, setting: Setting) -> bool:
    word = setting.text[run.start : run.end].lower()
    return setting.distance <= 2 and word not in _MONTHS_OR_VERBS


def _is_year(digits: str, setting: Setting) -> bool:
    is_dated = setting.distance > 0 and not _YEAR_WORDS.isdisjoint(setting.words_before[-1:])
    return is_dated and _YEAR.fullmatch(digits) is not None


# Runs without a cue.


def _full_date(run: Run, setting: Setting) -> Match | None:
    """Find a whole date of the last century, which is rarely anything but a date of birth."""
    if _is_harmless_cue(setting) or _is_measure(run, setting):
        return None
    if not _YEAR_WORDS.isdisjoint(setting.words_before[-1:]):
        return None
    roles = [each.role for each in run.items]
    form = _DAY_AND_YEAR if Role.MONTH in roles else _FULL_DATE
    is_spoken = roles[:3] == [Role.ORDINAL, Role.ORDINAL, Role.DIGITS]  # "fourth of the eleventh"
    is_british = is_spoken and len("".join(each.chars for each in run.items[2:])) in (2, 4)
    return _numeric(run, Kind.BIRTH_DATE) if is_british or form.fullmatch(run.digits) else None


def _by_form(run: Run, setting: Setting) -> Match | None:
    harmless = _is_harmless_cue(setting)
    for items in _digit_parts(run.items):
        digits = "".join(each.chars for each in items)
        if kind := _form(items, digits, setting, harmless=harmless):
            return Match(items[0].start, items[-1].end, kind)
    return None


def _form(items: tuple[Item, ...], digits: str, setting: Setting, *, harmless: bool) -> Kind | None:
    if is_card(digits) and (has_issuer(digits) or not harmless):
        return Kind.CARD
    if any(is_card(part) and has_issuer(part) for part in _windows(items)):
        return Kind.CARD
    if harmless:
        is_written = _PHONE_FORM.fullmatch(setting.text, items[0].start, items[-1].end)
        is_guess = setting.cue is not None and setting.cue.is_guess
        may_be_phone = (is_written and setting.distance > 1) or (is_guess and len(digits) > 8)
        return Kind.PHONE if may_be_phone and _has_phone(items, digits, setting) else None
    if len(digits) == _CARD_DIGITS and has_issuer(digits):
        return Kind.CARD  # one digit is wrong
    if _is_social_security(items, setting.text):
        return Kind.NATIONAL_ID
    if is_routing_number(digits):
        return Kind.BANK_ACCOUNT
    is_harmless_form = _HARMLESS_FORM.fullmatch(setting.text, items[0].start, items[-1].end)
    if Kind.PHONE in setting.kinds and not is_harmless_form and _has_phone(items, digits, setting):
        return Kind.PHONE
    return None


def _digit_parts(items: tuple[Item, ...]) -> Iterator[tuple[Item, ...]]:
    """Yield the longest sequences of digits, without letters, months and ordinals."""
    part: list[Item] = []
    for each in items:
        if each.role is Role.DIGITS:
            part.append(each)
        elif part:
            yield tuple(part)
            part = []
    if part:
        yield tuple(part)


def _windows(items: tuple[Item, ...]) -> Iterator[str]:
    """Yield the digits of consecutive items, up to the 19 of a card number."""
    for first in range(len(items)):
        digits = ""
        for each in items[first:]:
            digits += each.chars
            if len(digits) > 19:
                break
            yield digits


def _is_social_security(items: tuple[Item, ...], text: str) -> bool:
    lengths = [len(each.chars) for each in items]
    return lengths == [3, 2, 4] and text[items[0].end] == "-" == text[items[1].end]


def _has_phone(items: tuple[Item, ...], digits: str, setting: Setting) -> bool:
    if not LONG_DIGITS <= len(digits) <= MAX_DIGITS:
        return False
    if _is_phone(digits, items[0].start, setting):
        return True
    checks = 0
    starts = [n for n, each in enumerate(items) if n < 2 or len(each.chars) > 2]
    for first in starts if len(digits) > 10 else ():
        part = ""
        for each in items[first:]:
            part += each.chars
            if len(part) < 10:
                continue
            checks += 1
            if len(part) > 12 or checks > _MAX_PHONE_CHECKS:
                break
            if _is_phone(part, items[first].start, setting):
                return True
    return False


def _is_phone(digits: str, start: int, setting: Setting) -> bool:
    before = setting.text[max(0, start - 8) : start].rstrip(" (").lower()
    international = before.endswith(("+", "plus"))
    text = f"+{digits}" if international else digits
    try:
        number = phonenumbers.parse(text, None if international else setting.region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(number)


def _card_head(run: Run, setting: Setting) -> Match | None:
    """Find the first groups of a card number, which the speaker interrupted."""
    is_head = len(run.digits) in _CARD_HEADS and has_issuer(run.digits)
    return _numeric(run, Kind.CARD) if is_head and not is_harmless(run, setting) else None


def _corrected(run: Run, setting: Setting) -> Match | None:
    """Mask a long number of which a part was corrected: no checksum can decide."""
    if run.is_corrected and len(run.digits) >= LONG_DIGITS and not is_harmless(run, setting):
        return _numeric(run, Kind.NUMBER)
    return None


def _repeated(run: Run, setting: Setting) -> Match | None:
    digits = run.digits
    if len(digits) < 3 or _is_measure(run, setting):
        return None
    kind = setting.recall(digits)
    return _numeric(run, kind) if kind else None
