"""Phrases before a number that announce what it is. Pure.

A cue is the longest phrase that ends at a word: "code" announces a one-time code, "zip code" does
not. The cue nearest to the digits wins.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

from workers.redact.kinds import Kind

MAX_PHRASE_WORDS: Final = 5
NO_DIGITS: Final = 99  # of what has no number: an address
_WEAK_DIGITS: Final = 5
_HARMLESS_WORDS: Final = (
    3  # from "order" to its number, if something sensitive was announced before
)


@dataclass(frozen=True, slots=True)
class Cue:
    """What a phrase announces.

    Attributes:
        kind: of the value that follows; None if the phrase announces something harmless.
        min_digits: a shorter run of digits is not the announced value.
        inherits: whether the phrase is about part of what was announced just before, such as
            "the last four"; `kind` is what it announces if nothing was, except for a year.
        otherwise: what was announced before, if this cue may not be about the value that follows.
        within: words after which it no longer applies; 0 is any number.
        is_guess: whether no phrase names the thing, so that it may be a person: "Ann's number".
    """

    kind: Kind | None
    min_digits: int = 3
    inherits: bool = False
    otherwise: "Cue | None" = None
    within: int = 0
    is_guess: bool = False

    @property
    def is_weak(self) -> bool:
        """Whether what follows is often something else: after "account", "order", "email"."""
        return self.kind is None or self.min_digits >= _WEAK_DIGITS or self.within > 0

    def applying_to(self, digits: int, distance: int) -> "Cue | None":
        """Return the cue that applies to a run with a number of digits, after a number of words."""
        if self.within and distance > self.within:
            return self.otherwise
        if self.kind is None:
            applies = distance <= _HARMLESS_WORDS
        else:
            applies = digits == 0 or digits >= self.min_digits
        return self if applies else self.otherwise or self

    @property
    def may_follow(self) -> bool:
        """Whether the phrase may follow its value without a verb: "4821 PIN"."""
        return self.kind is not None and self.min_digits <= 3 and not self.inherits


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of a language.

    Attributes:
        by_last: by their last word, longest first; None announces nothing and hides a shorter one.
        singles: the phrases of one word.
        endings: the last two words of the others.
        beginnings: every beginning of a phrase that may follow a number directly.
    """

    by_last: Mapping[str, tuple[tuple[tuple[str, ...], Cue | None], ...]]
    singles: frozenset[str]
    endings: frozenset[tuple[str, str]]
    beginnings: frozenset[tuple[str, ...]]


# Parts of a value, and where it is, by what they announce if nothing was announced before.
_PARTS: Final = MappingProxyType(
    {
        Kind.CARD: "last four|last 4|last four digits|last 4 digits|final four|first four|first 4|"
        "next four|next 4|first four digits|next four digits|first group|second group|third group|"
        "next group|last group|middle four|other four|letzten vier|letzten vier ziffern|"
        "últimos cuatro|cuatro últimos|ending|ending in|ending with|ends in|ends with|endet auf|"
        "terminada en|termina en|dot dot dot|star star star|x x x|asterisk asterisk asterisk",
        None: "last three|last two|starts with|starting with|begins with|beginning with|year|"
        "the rest|jahr|año",
    }
)
_PLACES: Final = MappingProxyType(
    {
        "card": Kind.CARD,
        "account": Kind.BANK_ACCOUNT,
        "phone": None,
        "app": None,
        "file": None,
        "email": None,
        "mail": None,
        "text": None,
        "message": None,
    }
)
_PLACE_WORDS: Final = tuple(
    f"{at} {whose}"
    for at in ("on", "of", "for", "from", "in")
    for whose in ("the", "my", "your", "that")
)
_DIGITS_OF: Final = tuple(  # part of a code, one digit or more
    f"{part} of {whose} {code}"
    for part in ("digit", "digits", "character", "characters", "number", "numbers")
    for whose in ("your", "the", "my", "that")
    for code in ("code", "pin", "passcode", "password", "security code", "security passcode")
)
NUMBER: Final = "number"
_NOT_NAMING_WORDS: Final = (  # before "number"; they do not say what it is of
    "a an any the my your his her our their this that these those what what's whats which it's is "
    "right wrong new old same other another one two long full whole entire first last second next "
    "current correct good only and or of real actual main digit with for in by back read have get "
    "give no such large great big small certain following i'm you're he's she's"
)
_NOT_NAMING: Final = frozenset(_NOT_NAMING_WORDS.split())
_PLURAL: Final = frozenset(  # also for "code's" without its apostrophe
    {"number", "code", "pin", "passcode", "password", "cvv", "iban", "dob", "birthday", "social"}
)
_PERIODS: Final = (
    "years", "months", "weeks", "days", "hours", "minutes", "times", "quarters", "seasons", "games",
)  # fmt: skip
# Kind, least number of digits, and phrases separated by "|". None is harmless.
_TABLES: Final[Mapping[str, tuple[tuple[Kind | None, int, str], ...]]] = MappingProxyType(
    {
        "en": (
            (Kind.CARD, 3, "card number|card numbers|credit card|debit card|number on the card|"
             "long number|sixteen digit|16 digit|sixteen digits|card ending|card ending in|"
             "card ends in|card ends with|cards ending in|card starts with|"
             "visa ending in|visa ending|"
             "mastercard ending in|mastercard ending|amex ending in|numbers on the front|"
             "number across the front|number on the front|card details|card info|card information"),
            (Kind.CARD, 4, "card|visa|mastercard|master card|amex|american express|discover card|"
             "maestro|the card is|my card"),
            (Kind.NATIONAL_ID, 3, "social|social security|social security number|ssn|s s n|n i|"
             "my social|"
             "your social|the social|her social|his social|their social|social is|of the social|"
             "national insurance|"
             "national insurance number|ni number|nino|national id|national identity|"
             "identity number|id card number|tax id|tax identification|tax identification number|"
             "taxpayer|steuer id|dni|nie|bsn|nir|passport|passport number|drivers license|"
             "driver's license|driving licence|license number|licence number|itin|tin|"
             "citizen service number|national number|personal id|personal identification|"
             "numéro de sécurité sociale|citizen number"),
            (Kind.IBAN, 4, "iban|iban number|i b a n|international bank account"),
            (Kind.BANK_ACCOUNT, 3, "sort code|routing number|routing|routing and account|aba|"
             "aba number|account number|account numbers|bank account|bank account number|"
             "checking account|savings account|current account|account ending|account ending in|"
             "account ends in|transit number|bank details|from checking|to checking|my checking|"
             "your checking|on savings|in savings|on checking|in checking|from savings|to savings|"
             "my savings|your savings|bic|direct debit"),
            (Kind.BANK_ACCOUNT, 6, "account"),
            (Kind.PHONE, 3, "phone number|telephone number|mobile number|cell number|"
             "cell phone number|contact number|callback number|call back number|phone numbers|"
             "number to reach you|number to call|number to reach|area code|fax number|home number|"
             "work number|number i'm calling from|number you're calling from|best number|"
             "mobile phone|cell phone|phone is|cell is|mobile is|whatsapp|local number"),
            (Kind.PHONE, 5, "phone|telephone|mobile|cell|call me on|call me at|call me back at|"
             "call me back on|call back at|reach me at|reach me on|text me at|text me on|"
             "ring me on|ring me at|call us at|call us on|reach you at|reach you on|call you at|"
             "call you on|call you back at|call you back on|fax|landline|"
             "my number|his number|her number|your number|wife's number|husband's number|"
             "give me a call at|dial|contact me on|contact me at|"
             "get me at|get me on|get hold of me on|caller id|direct line|helpline|hotline|"
             "toll free|toll free number"),
            (Kind.PHONE, 7, "send it to|send that to|send them to|forward it to|mail it to"),
            (Kind.EMAIL, NO_DIGITS, "email|email address|mail address|e mail|email is|write to|"
             "e mail address|at sign"),
            (Kind.BIRTH_DATE, 2, "date of birth|birth date|birthdate|birthday|birthday is|dob|"
             "d o b|were you born|you were born|was born on|born on|born on the|date of your birth|"
             "birth year|year of birth|month of birth|day of birth|dates of birth"),
            (Kind.BIRTH_DATE, 2, "born in|was born in"),
            (Kind.BIRTH_DATE, 4, "born"),
            (Kind.ONE_TIME_CODE, 3, "pin|p i n|pin number|pin code|passcode|pass code|verification|"
             "verification code|security code|cvv|cvc|cvv2|c v v|c v c|o t p|cid|otp|"
             "one time|one time code|"
             "one time password|one time passcode|access code|authentication code|auth code|"
             "digit code|digit pin|code on the back|back of the card|digits on the back|"
             "two factor|login code|sms code|the code|your code|my code|a code|that code|"
             "code i just sent you|code i sent|code we sent|text with the code|"
             "activation code|confirmation pin|password|secret code|unlock code|"
             "numbers on the back|number on the back|security number|text that says|text says|"
             "back of your card|confirmation code|authenticator|signature strip|signature panel|"
             "text it says|message it says|message says"),
            (Kind.ONE_TIME_CODE, 1, "|".join(_DIGITS_OF)),
            (Kind.ONE_TIME_CODE, 4, "enter|put in|type in|typed in|to sign in|to log in"),
            (Kind.ONE_TIME_CODE, 6, "says use|just came in|came through|text from|as a text"),
            (Kind.ONE_TIME_CODE, 4, "code|text message|texted you|in the text|six digits|"
             "6 digits|six digit|6 digit|four digit|4 digit"),
            (None, 0, "order|order number|orders|invoice|invoice number|ticket|ticket number|"
             "reference|reference number|ref|ref number|reference code|case|case number|"
             "confirmation number|booking|booking number|booking code|booking reference|"
             "reservation|reservation number|flight|flight number|room|room number|price|cost|"
             "costs|fee|fees|limit|coverage|deductible|premium|copay|minimum payment|card expire|"
             "card expires|card expired|expiry date|expiration date|total|total is|amount|balance|"
             "balance is|dollars|version|release|build|"
             "extension|ext|zip|zip code|postal code|postcode|post code|discount code|promo code|"
             "promotion code|coupon code|voucher code|dress code|error code|product code|"
             "source code|bar code|barcode|qr code|country code|code of conduct|coupon|"
             "tracking|tracking number|tracking code|parcel|shipment|serial number|serial|"
             "item number|item|part number|sku|model|model number|meter|meter reading|reading|"
             "policy number|policy|claim|claim number|meeting id|conference id|webinar|"
             "customer number|member number|membership number|employee number|employee id|"
             "house number|apartment|suite|gate|platform|seat|bus|train|channel|page|chapter|"
             "line number|street|avenue|address|lives at|live at|quantity|how many|how much|"
             "social media|social event|social worker|social club|social life|"
             "phone case|phone bill|card payment|account balance|account manager|score|"
             "percent|speed|mileage|odometer|weighs|weight|height|size|temperature|since|"
             "back in|purchase order|po number|po box|transaction|transaction number|"
             "transaction id|receipt|receipt number|batch|lot number|delivery number|"
             "docket|docket number|job number|work order|request number|incident|incident number|"
             "vin|mile|population|meeting|appointment|queue number|number in the queue|"
             "press|option|table|floor|unit|building|model year|isbn|lottery|"
             "phone model|iphone|case id|order id|ticket id|ip|ip address|"
             "card costs|salary|budget|route|highway|exit|"
             "department|store number|vehicle|license plate|plate|registration|ends on|"
             "patient|at half past|quarter past|class|section|episode|season|"
             "cpt code|diagnosis code|procedure code|billing code|imei|iccid|mac address|npi|"
             "group number|plan id|member id|group id|"
             "player|jersey|lane|aisle|locker|box|track|verse|psalm|act|rev|revision|firmware"),
        ),
        "de": (
            (Kind.CARD, 3, "kartennummer|kreditkarte|kreditkartennummer|kreditkarten nummer|"
             "karte endet auf|ec karte|karten nummer|nummer der karte|nummer auf der karte"),
            (Kind.CARD, 4, "karte"),
            (Kind.NATIONAL_ID, 3, "steuer id|steuernummer|steuer nummer|"
             "steueridentifikationsnummer|"
             "identifikationsnummer|sozialversicherungsnummer|rentenversicherungsnummer|"
             "personalausweis|personalausweisnummer|ausweisnummer|reisepass|passnummer|"
             "versichertennummer"),
            (Kind.BANK_ACCOUNT, 3, "kontonummer|bankleitzahl|blz|bankverbindung|konto nummer"),
            (Kind.BANK_ACCOUNT, 6, "konto"),
            (Kind.PHONE, 3, "telefonnummer|handynummer|rufnummer|mobilnummer|rückrufnummer|vorwahl|"
             "telefon nummer|faxnummer"),
            (Kind.PHONE, 5, "telefon|handy|erreichbar unter|erreichen mich unter|"
             "rufen sie mich an unter|meine nummer|nummer ist"),
            (Kind.EMAIL, NO_DIGITS, "mail|emailadresse|mailadresse|mail adresse"),
            (Kind.BIRTH_DATE, 2, "geburtsdatum|geburtstag|geboren|geboren am|geburts datum"),
            (Kind.ONE_TIME_CODE, 3, "geheimzahl|prüfziffer|prüfnummer|sicherheitscode|"
             "bestätigungscode|tan|kennwort|sicherheits code|zugangscode|einmalpasswort|passwort|"
             "code lautet|kartenprüfnummer|geheimnummer"),
            (None, 0, "bestellnummer|bestellung|rechnung|rechnungsnummer|auftragsnummer|auftrag|"
             "vorgangsnummer|ticketnummer|kundennummer|referenznummer|referenz|zimmer|preis|"
             "betrag|kostet|postleitzahl|plz|seite|hausnummer|durchwahl|nebenstelle|flug|"
             "buchungsnummer|sendungsnummer|zählerstand|artikelnummer|seriennummer|straße|bus|"
             "linie|gleis|zug|raum|seit|summe|vertragsnummer|aktenzeichen|fehlercode"),
        ),
        "es": (
            (Kind.CARD, 3, "número de tarjeta|numero de tarjeta|número de la tarjeta|"
             "tarjeta de crédito|tarjeta de débito|tarjeta terminada en|tarjeta que termina en"),
            (Kind.CARD, 4, "tarjeta"),
            (Kind.NATIONAL_ID, 3, "dni|nie|nif|documento de identidad|número de identidad|"
             "seguridad social|número de seguridad social|pasaporte|curp|rut|cédula"),
            (Kind.BANK_ACCOUNT, 3, "número de cuenta|numero de cuenta|cuenta bancaria|"
             "cuenta corriente"),
            (Kind.BANK_ACCOUNT, 6, "cuenta"),
            (Kind.PHONE, 3, "número de teléfono|numero de telefono|teléfono móvil|número de móvil|"
             "número de contacto|teléfono es"),
            (Kind.PHONE, 5, "teléfono|telefono|móvil|celular|mi número|llámeme al|llamarme al"),
            (Kind.EMAIL, NO_DIGITS, "correo|correo electrónico|dirección de correo"),
            (Kind.BIRTH_DATE, 2, "fecha de nacimiento|cumpleaños|nací el|nacida el|nacido el|"
             "nací en|naciste|nació|nació el"),
            (Kind.ONE_TIME_CODE, 3, "código|código de seguridad|código de verificación|clave|"
             "contraseña|pin"),
            (None, 0, "pedido|número de pedido|factura|número de factura|referencia|"
             "número de referencia|vuelo|habitación|precio|cuesta|total|código postal|extensión|"
             "página|calle|reserva|versión|importe|número de reserva|seguimiento|"
             "número de seguimiento|incidencia|cita|autobús|puerta|piso|código de descuento"),
        ),
    }
)  # fmt: skip


@cache
def phrases(language: str) -> Phrases:
    """Return the phrases of a language and of English, by their last word, longest first."""
    name = language.partition("-")[0].lower()
    found: dict[str, dict[tuple[str, ...], Cue | None]] = {}
    parts = list(_PARTS.items())
    parts += [(_PLACES[noun], f"{at} {noun}") for noun in _PLACES for at in _PLACE_WORDS]
    for kind, text in parts:
        for phrase in map(str.split, text.split("|")):
            found.setdefault(phrase[-1], {})[tuple(phrase)] = Cue(kind, 3, inherits=True)
            for period in _PERIODS if phrase[-1] in ("four", "three", "two") else ():
                found.setdefault(period, {})[(*phrase, period)] = Cue(None)
    for words in (("in", "case"), ("claim", "form"), ("in", "order")):
        found.setdefault(words[-1], {})[words] = None
    for table in (_TABLES["en"], _TABLES.get(name, ())):
        for kind, min_digits, texts in table:
            for text in texts.split("|"):
                *before, last = text.split()
                for word in (last, f"{last}s") if last in _PLURAL else (last,):
                    found.setdefault(word, {})[*before, word] = Cue(kind, min_digits)
    every = [(phrase, cue) for each in found.values() for phrase, cue in each.items()]
    return Phrases(
        by_last={
            last: tuple(sorted(each.items(), key=lambda pair: -len(pair[0])))
            for last, each in found.items()
        },
        singles=frozenset(phrase[0] for phrase, _ in every if len(phrase) == 1),
        endings=frozenset((phrase[-2], phrase[-1]) for phrase, _ in every if len(phrase) > 1),
        beginnings=frozenset(
            phrase[:end]
            for phrase, cue in every
            for end in range(len(phrase) + 1)
            if cue and cue.may_follow
        ),
    )


def cues(words: Sequence[str], table: Phrases) -> Iterator[tuple[int, int, Cue]]:
    """Yield the indices of the first and the last word of each phrase, and its cue.

    The number of anything that no phrase names is harmless: "prescription number".
    """
    found = -1  # the last word of the phrase before
    for index, word in enumerate(words):
        for phrase, cue in table.by_last.get(word, ()):
            first = index + 1 - len(phrase)
            if first >= 0 and tuple(words[first : index + 1]) == phrase:
                if cue:
                    found = index
                    yield first, index, cue
                break
        else:
            if word == NUMBER and 0 < index != found + 1 and words[index - 1] not in _NOT_NAMING:
                yield index - 1, index, Cue(None, is_guess=True)


def normalized(word: str) -> str:
    """Return a word, in lower case, as the phrases have it: "number's" is "number"."""
    return word[:-2] if word.endswith("'s") and word != "driver's" else word
