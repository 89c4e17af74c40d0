"""What is masked: the kinds of sensitive values, and where one was found. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A kind of sensitive value. Its mask is the value in brackets."""

    CARD = "card"
    NATIONAL_ID = "national_id"
    IBAN = "iban"
    BANK_ACCOUNT = "bank_account"
    PHONE = "phone"
    EMAIL = "email"
    BIRTH_DATE = "birth_date"
    ONE_TIME_CODE = "one_time_code"
    NUMBER = "number"  # digits that had to be masked before their kind was decided

    @property
    def mask(self) -> str:
        """The text that replaces a value. It shows neither a length nor a character."""
        return f"[{self}]"


@dataclass(frozen=True, slots=True)
class Match:
    """A sensitive value in a text.

    Attributes:
        start: offset of its first character.
        end: offset after its last character.
        kind: what it is.
        continues: whether the value began before this text, so that its mask is published already.
    """

    start: int
    end: int
    kind: Kind
    continues: bool = False
