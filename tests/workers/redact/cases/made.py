# ruff: noqa: E501, SIM905, S311  # word lists; seeded, not secret
"""Calls made of templates and seeded values, in the format of `hand`.

Each kind has values with a valid checksum or form, ways to say them, and sentences with and without
a cue. A sentence has `{}` where the value is; a value is broken into groups as speakers pause.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

PER_KIND: Final = 240
_DIGITS: Final = "zero one two three four five six seven eight nine".split()
_TEENS: Final = (
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
)
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_MONTHS: Final = (
    "January February March April May June July August September October November December".split()
)
_ORDINALS: Final = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth".split()
)
_TIMES: Final = {2: "double", 3: "triple"}

type Say = Callable[[random.Random, str], str]


# Ways to say a group of digits.


def say_digits(rng: random.Random, group: str) -> str:
    zero = rng.choice(("zero", "oh", "zero"))
    return " ".join(zero if each == "0" else _DIGITS[int(each)] for each in group)


def say_doubles(rng: random.Random, group: str) -> str:
    words, at = [], 0
    while at < len(group):
        run = next(n for n in (3, 2, 1) if group[at : at + n] == group[at] * n)
        words.append(" ".join([*([_TIMES[run]] if run > 1 else []), say_digits(rng, group[at])]))
        at += run
    return " ".join(words)


def say_below_100(n: int, joint: str = " ") -> str:
    if n < 20:
        return (_DIGITS + _TEENS)[n]
    return _TENS[n // 10 - 2] + (joint + _DIGITS[n % 10] if n % 10 else "")


def say_pairs(rng: random.Random, group: str) -> str:
    joint = rng.choice((" ", "-"))
    pairs = [group[at : at + 2] for at in range(0, len(group), 2)]
    return " ".join(
        say_below_100(int(each), joint)
        if len(each) == 2 and each[0] != "0"
        else say_digits(rng, each)
        for each in pairs
    )


def say_thousands(rng: random.Random, group: str) -> str:
    if len(group) != 4 or group[0] == "0" or group[1:] == "000":
        return say_pairs(rng, group)
    parts = [f"{_DIGITS[int(group[0])]} thousand"]
    if group[1] != "0":
        parts.append(f"{_DIGITS[int(group[1])]} hundred")
    if group[2:] != "00":
        parts.append(rng.choice(("", "and ")) + say_below_100(int(group[2:])))
    return " ".join(parts)


def written(_: random.Random, group: str) -> str:
    return group


def written_singly(_: random.Random, group: str) -> str:
    return " ".join(group)


def mixed(rng: random.Random, group: str) -> str:
    return " ".join(each if rng.random() < 0.5 else say_digits(rng, each) for each in group)


SAYS: Final[tuple[Say, ...]] = (
    say_digits, say_digits, say_doubles, say_pairs, say_thousands, written, written, written_singly,
    mixed,
)  # fmt: skip
SINGLY: Final[tuple[Say, ...]] = (say_digits, say_doubles, written, written_singly, mixed)
_JOINTS: Final = (" ", ", ", " ", ", ", " uh ", " - ", ". ", "} || {")


def render(rng: random.Random, groups: Sequence[str], says: Sequence[Say] = SAYS) -> str:
    """Render groups of digits in one way, with one kind of pause."""
    say = rng.choice(tuple(says))
    joint = rng.choice(_JOINTS)
    if say is written:
        joint = rng.choice(("", " ", "-", " ", ", ", ".", "} || {", " um "))
    return joint.join(say(rng, each) for each in groups)


# Values.


def _luhn(body: str) -> str:
    total = sum(sum(divmod(int(d) * (1 + n % 2), 10)) for n, d in enumerate(reversed(body + "0")))
    return body + str(-total % 10)


def digits(rng: random.Random, n: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(n))


def card(rng: random.Random) -> str:
    prefix, length, sizes = rng.choice(
        (("4", 16, (4, 4, 4, 4)), ("51", 16, (4, 4, 4, 4)), ("55", 16, (4, 4, 4, 4)),
         ("2221", 16, (4, 4, 4, 4)), ("37", 15, (4, 6, 5)), ("6011", 16, (4, 4, 4, 4)),
         ("36", 14, (4, 6, 4)), ("4", 16, (2, 2) * 4))
    )  # fmt: skip
    number = _luhn(prefix + digits(rng, length - len(prefix) - 1))
    return render(rng, groups(number, sizes))


def groups(number: str, sizes: Sequence[int]) -> list[str]:
    found, at = [], 0
    for size in sizes:
        found.append(number[at : at + size])
        at += size
    return found


def phone(rng: random.Random) -> str:
    area = rng.choice(("212", "415", "646", "305", "312", "617", "702", "917", "503", "404"))
    number = area + rng.choice("23456789") + digits(rng, 6)
    if number[4:6] == "11":
        number = number[:4] + "20" + number[6:]
    say = render(rng, groups(number, rng.choice(((3, 3, 4), (3, 3, 2, 2), (3, 3, 4)))))
    lead = rng.choice(("", "", "", "+1 ", "one ", "1-"))
    return lead + say


def social(rng: random.Random) -> str:
    return render(rng, [str(rng.randint(100, 665)), digits(rng, 2), digits(rng, 4)])


def nino(rng: random.Random) -> str:
    letters = rng.choice(("AB", "CE", "JG", "PW", "SK", "WM"))
    number = groups(digits(rng, 6), (2, 2, 2))
    spelled = rng.choice((letters, " ".join(letters), letters[0] + " " + letters[1]))
    return f"{spelled} {render(rng, number, SINGLY)} {rng.choice('ABCD')}"


def dni(rng: random.Random) -> str:
    number = digits(rng, 8)
    return number + rng.choice(("", "-", " ")) + "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


def iban(rng: random.Random) -> str:
    country, bban = rng.choice(
        (("DE", digits(rng, 18)), ("ES", digits(rng, 20)), ("NL", "ABNA" + digits(rng, 10)),
         ("GB", "NWBK" + digits(rng, 14)), ("AT", digits(rng, 16)), ("FR", digits(rng, 23)))
    )  # fmt: skip
    checked = "".join(str(int(each, 36)) for each in bban + country + "00")
    number = f"{country}{98 - int(checked) % 97:02}{bban}"
    quads = [number[at : at + 4] for at in range(0, len(number), 4)]
    if rng.random() < 0.5:
        return rng.choice(("", " ")).join(quads)
    return " ".join(
        say_digits(rng, each) if each.isdecimal() else each for each in " ".join(number).split()
    )


def account(rng: random.Random) -> str:
    size = rng.choice(((4, 4), (3, 3, 3), (4, 3, 3), (2, 2, 2), (4, 4)))
    return render(rng, [digits(rng, each) for each in size], SINGLY)


def routing(rng: random.Random) -> str:
    body = f"{rng.randint(1, 12):02}{digits(rng, 6)}"
    total = sum(int(d) * w for d, w in zip(body, (3, 7, 1) * 3, strict=False))
    return render(rng, groups(f"{body}{-total % 10}", (3, 3, 3)), SINGLY)


def email(rng: random.Random) -> str:
    first = rng.choice(("john", "mary", "priya", "wei", "carlos", "anna", "kwame", "svetlana"))
    last = rng.choice(("smith", "garcia", "okafor", "chen", "miller", "novak", "brown"))
    site = rng.choice(("example", "gmail", "outlook", "acme", "bigcorp", "yahoo", "mailbox"))
    top = rng.choice(("com", "org", "net", "io"))
    if rng.random() < 0.35:
        local = rng.choice(
            (f"{first}.{last}", f"{first}_{last}", f"{first[0]}{last}", first + "84")
        )
        return f"{local}@{site}.{rng.choice((top, 'co.uk'))}"
    local = rng.choice(
        (f"{first} dot {last}", f"{first} underscore {last}", f"{first[0]} dot {last}",
         " ".join(first), f"{' '.join(first)} dot {last}", f"{first} dash {last}",
         f"{first} nineteen eighty four", f"{first} {say_digits(rng, digits(rng, 2))}", first,
         f"{first} dot {last} {digits(rng, 2)}")
    )  # fmt: skip
    return f"{local} at {site} dot {rng.choice((top, 'co dot uk'))}"


def birth_date(rng: random.Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1940, 2009)
    name = _MONTHS[month - 1]
    ordinal = _ORDINALS[day - 1] if day <= 20 else f"twenty {_ORDINALS[day - 21]}"
    spoken = f"{say_below_100(year // 100)} {say_pairs(rng, str(year)[2:])}"
    if year >= 2000:
        spoken = f"two thousand{rng.choice(('', ' and'))} {_DIGITS[year - 2000]}"
    if year == 2000:
        spoken = "two thousand"
    return rng.choice(
        (f"{name} {ordinal} {spoken}", f"the {ordinal} of {name} {spoken}",
         f"{name} {ordinal}, {spoken}", f"{month:02}/{day:02}/{year}", f"{month}/{day}/{year % 100:02}",
         f"{year}-{month:02}-{day:02}", f"{name} {day}, {year}", f"{day} {name} {year}",
         f"{day:02}.{month:02}.{year}", f"{name} {day} {spoken}",
         f"{say_digits(rng, f'{month:02}')} {say_digits(rng, f'{day:02}')} {spoken}",
         f"{say_digits(rng, f'{month:02}')}, {say_below_100(day)}, {say_pairs(rng, str(year)[2:])}",
         f"{ordinal} {name} {say_pairs(rng, str(year)[2:])}")
    )  # fmt: skip


def code(rng: random.Random) -> str:
    number = digits(rng, rng.choice((4, 4, 5, 6, 6, 8)))
    half = len(number) // 2
    return render(rng, rng.choice(([number], [number[:half], number[half:]])), SINGLY)


def _sentences(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.strip().splitlines())


_ANY: Final = _sentences(
    """
    {}
    it's {}
    yeah sure it's {}
    okay so that would be {}, did you get that
    hold on a second, right, {}
    I think it's {} yeah
    um {} thanks
    """
)
_QUESTIONS: Final = {
    "card": (
        "Q: can I get your card number please", "Q: and which card would you like to use?",
        "Q: what's the sixteen digit number across the front", "my credit card is {}",
        "I'd like to pay by Visa, the number is {}", "the debit card number's {} if that helps",
    ),
    "phone": (
        "Q: what's a good phone number for you?", "Q: can I take a contact number",
        "my cell number is {}", "please call me back at {}", "you can reach me on {} after five",
        "Q: and your mobile number?", "the phone number on the account is {}",
    ),
    "national_id": (
        "Q: can you tell me your social security number", "my social is {}",
        "Q: your social please?", "the social security number on file should be {}",
        "Q: what is your national insurance number?", "tax ID {}",
    ),
    "iban": ("Q: can you read me the IBAN", "the IBAN is {}", "please transfer it to IBAN {}"),
    "bank_account": (
        "Q: what's your account number?", "my bank account number is {}",
        "Q: and the routing number for that bank?", "the sort code should be {}",
        "account number {} at the credit union", "the routing number's {}",
    ),
    "email": (
        "Q: what's your email address", "my email is {}", "you can email me at {}",
        "could you send the receipt to my email, {}, please", "Q: and the best email for you?",
    ),
    "birth_date": (
        "Q: can I have your date of birth", "my date of birth is {}", "I was born on {}",
        "Q: and your birthday?", "birth date {}", "my DOB's {}", "he was born {}",
    ),
    "one_time_code": (
        "Q: can you read me the code we just texted you", "the verification code is {}",
        "my PIN is {}", "Q: please enter or say your passcode", "the one time code says {}",
        "Q: what's the security code on the card?", "it gave me the code {} just now",
    ),
}  # fmt: skip
_VALUES: Final[dict[str, tuple[Callable[[random.Random], str], ...]]] = {
    "card": (card,),
    "phone": (phone,),
    "national_id": (social, nino, dni, social),
    "iban": (iban,),
    "bank_account": (account, routing),
    "email": (email,),
    "birth_date": (birth_date,),
    "one_time_code": (code,),
}
CUELESS: Final = frozenset({"card", "iban"})  # their checksums are enough


def made(kind: str, count: int = PER_KIND) -> Iterator[str]:
    """Yield calls with a value of a kind."""
    rng = random.Random(f"made {kind}")
    for _ in range(count):
        value = "{" + rng.choice(_VALUES[kind])(rng) + "}"
        cue = rng.choice(_QUESTIONS[kind])
        if kind in CUELESS and rng.random() < 0.4:
            yield rng.choice(_ANY).replace("{}", value)
        elif cue.startswith("Q: "):
            yield f"{cue} || {rng.choice(_ANY).replace('{}', value)}"
        else:
            yield cue.replace("{}", value)


_HARMLESS: Final = _sentences(
    """
    your order number is {5-9}
    Q: can I have your order number? || yes it's {6-8}
    I'm calling about invoice {5-8}
    the invoice number is {6}
    Q: do you have a reference number || it says {7-9}
    ticket number {5-7} is still open
    the flight is {air} {3-4}
    we're in room {3-4}
    please dial extension {3-4}
    Q: which extension? || {4}
    it's on version {1} point {1-2} point {1}
    that comes to {1-4} dollars
    the total was {2-3} dollars and {2} cents
    it cost me {2-4} pounds
    around {2-3} percent of customers
    we've been here since {year}
    back in {year} we had {2} stores
    I moved to {3-4} Oak Street in {year}
    the zip code is {5}
    Q: and the zip? || {5}
    it will take {1-2} to {2} minutes
    the warranty is {1-2} years or {2} thousand miles
    I ordered {1-3} units last week
    there are {2-4} people on the list
    your confirmation number is {6-8}
    the tracking number is {8-9}
    the serial number ends with {4}
    your case number is {6-7}
    page {1-3} of the manual
    channel {2-3}
    the meter reading is {5}
    my customer number is {6-8}
    policy number {7-8}
    the appointment is at {clock} on the {day}
    can you come at {clock}
    gate {1-2} boards at {clock}
    I paid {2-4} dollars for {1-2} of them
    the temperature is {2} degrees
    we need {1-3} copies by {clock}
    the model number is {3-4}
    it was {year} or maybe {year}
    """
)
_AIR: Final = ("BA", "united", "delta", "LH", "AA")


def look_alikes(count: int = 2 * PER_KIND) -> Iterator[str]:
    """Yield calls without a sensitive value."""
    rng = random.Random("look-alikes")
    for at in range(count):
        sentence = _HARMLESS[at % len(_HARMLESS)]
        while "{" in sentence:
            before, _, rest = sentence.partition("{")
            name, _, after = rest.partition("}")
            sentence = before + _harmless(rng, name) + after
        yield sentence


def _harmless(rng: random.Random, name: str) -> str:
    if name == "air":
        return rng.choice(_AIR)
    if name == "day":
        return rng.choice(_ORDINALS)
    if name == "year":
        year = rng.randint(1960, 2029)
        return rng.choice(
            (str(year), f"{say_below_100(year // 100)} {say_pairs(rng, str(year)[2:])}")
        )
    if name == "clock":
        hour, minute = rng.randint(1, 12), rng.choice((0, 15, 30, 45))
        words = say_below_100(hour) + (f" {say_below_100(minute)}" if minute else "")
        return rng.choice((f"{hour}:{minute:02}", words + " pm", f"{words} in the morning"))
    low, _, high = name.partition("-")
    number = str(rng.randint(1, 9)) + digits(rng, rng.randint(int(low), int(high or low)) - 1)
    return rng.choice((written, written, say_digits, say_pairs, say_doubles))(rng, number)
