"""Checksums and forms of cards, accounts and national numbers. Pure."""

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

# Length and countries: SWIFT's IBAN registry.
_IBANS: Final = (
    "15:NO 16:BE 18:DK,FI,FO,GL,NL,SD 19:MK,SI 20:AT,BA,EE,KZ,LT,LU,MN,XK "
    "21:CH,HR,LI,LV 22:BG,BH,CR,DE,GB,GE,IE,ME,RS,VA 23:AE,GI,IL,IQ,OM,SO,TL "
    "24:AD,CZ,ES,MD,PK,RO,SA,SE,SK,TN,VG 25:LY,PT,ST 26:IS,TR "
    "27:BI,DJ,FR,GR,IT,MC,MR,SM "
    "28:AL,AZ,BY,CY,DO,GT,HU,LB,NI,PL,SV 29:BR,EG,PS,QA,UA 30:JO,KW,MU,YE 31:MT,SC "
    "32:LC 33:RU"
)
IBAN_LENGTHS: Final = MappingProxyType(
    {
        country: int(length)
        for length, _, countries in (each.partition(":") for each in _IBANS.split())
        for country in countries.split(",")
    }
)
# Beginnings of Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay and Maestro.
_ISSUERS: Final = re.compile(
    r"4|5[0-8]|2(?:2[2-9]|[3-6]\d|7[01]|720)|3[47]|30[0-5]|3[689]|6(?:011|[2-9])|35(?=\d{14})"
)
# The Federal Reserve's districts, their thrifts and electronic transactions, the treasury, cheques.
_ROUTING: Final = re.compile(r"(?:0\d|1[0-2]|2[1-9]|3[0-2]|6[1-9]|7[0-2]|80)\d{7}")
_NINO: Final = re.compile(r"[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z]\d{6}[ABCD]")
_DNI: Final = re.compile(r"([XYZ]\d{7}|\d{8})([A-HJ-NP-TV-Z])")
_NIR: Final = re.compile(r"[1278]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)(?:\d{2}|2[AB])\d{8}")


def is_luhn(digits: str) -> bool:
    """Return whether the last digit is the check digit of ISO/IEC 7812."""
    odd, even = digits[-1::-2], digits[-2::-2]
    total = sum(map(int, odd)) + sum(sum(divmod(2 * int(each), 10)) for each in even)
    return total % 10 == 0 and digits.strip("0") != ""


def is_card(digits: str) -> bool:
    """Return whether 13 to 19 digits have a card's check digit."""
    return 13 <= len(digits) <= 19 and digits[0] != "0" and is_luhn(digits)


def has_issuer(digits: str) -> bool:
    """Return whether a number begins like those of a card network."""
    return _ISSUERS.match(digits) is not None


def is_routing_number(digits: str) -> bool:
    """Return whether 9 digits are a routing number of a bank in the US."""
    weighted = (int(digit) * (3, 7, 1)[n % 3] for n, digit in enumerate(digits))
    return _ROUTING.fullmatch(digits) is not None and sum(weighted) % 10 == 0


def iban_length(chars: str) -> int:
    """Return the number of leading characters that are a valid IBAN, or 0."""
    length = IBAN_LENGTHS.get(chars[:2], 0)
    if not length or len(chars) < length:
        return 0
    text = chars[4:length] + chars[:4]
    if not text.isascii() or not text.isalnum():
        return 0
    return length * (int("".join(str(int(each, 36)) for each in text)) % 97 == 1)


def _is_steuer_id(chars: str) -> bool:
    """Check the German tax number: one digit of the first ten is repeated; ISO 7064 mod 11, 10."""
    if len(chars) != 11 or not chars.isdecimal() or chars[0] == "0":
        return False
    if len(set(chars[:10])) not in (8, 9):
        return False
    check = 10
    for each in chars[:10]:
        total = (int(each) + check) % 10 or 10
        check = total * 2 % 11
    return (11 - check) % 10 == int(chars[10])


def _is_dni(chars: str) -> bool:
    """Check the letter of a Spanish DNI or NIE."""
    match = _DNI.fullmatch(chars)
    if not match:
        return False
    number = match[1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == match[2]


def _is_nir(chars: str) -> bool:
    """Check the two last digits of a French NIR; Corsica's departments have letters."""
    if not _NIR.fullmatch(chars):
        return False
    number = chars[:13].replace("2A", "19").replace("2B", "18")
    return number.isdecimal() and 97 - int(number) % 97 == int(chars[13:])


def is_nino(chars: str) -> bool:
    """Return whether it has the form of a number of the UK's national insurance."""
    return _NINO.fullmatch(chars) is not None


# Numbers whose form is rare enough to need no cue.
_NATIONAL: Final[tuple[tuple[int, Callable[[str], bool]], ...]] = (
    (9, is_nino),
    (9, _is_dni),
    (11, _is_steuer_id),
    (15, _is_nir),
)
NATIONAL_LENGTHS: Final = frozenset(length for length, _ in _NATIONAL)


def is_national_id(chars: str) -> bool:
    """Return whether digits and letters are a national number with a checksum or a rare form."""
    return any(length == len(chars) and check(chars) for length, check in _NATIONAL)
