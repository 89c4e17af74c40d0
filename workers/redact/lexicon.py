"""Words that numbers, dates and spoken e-mail addresses are made of, per language. Pure.

Add a language by adding its `_Words` to `_LANGUAGES`, and its phrases to `cues.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Final


class Part(Enum):
    """What a word contributes to a number, a date or an address."""

    DIGIT = "digit"  # 0-9
    PAIR = "pair"  # a closed number that no unit follows: "eleven", "veintiuno", "einundzwanzig"
    TENS = "tens"
    HUNDREDS = "hundreds"  # a hundred with its factor: "quinientos"
    HUNDRED = "hundred"
    THOUSAND = "thousand"
    REPEAT = "repeat"
    ORDINAL = "ordinal"
    MONTH = "month"
    WEAK = "weak"  # a word that sounds like a digit: counts only between single digits


@dataclass(frozen=True, slots=True)
class Word:
    """A word's part and its value."""

    part: Part
    value: int


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words of one language.

    Attributes:
        words: numbers and dates.
        and_words: join the parts of a number: "two hundred and five", "treinta y uno".
        fillers: words that do not end a run of digits.
        corrections: the same, but they show that the digits before them may be wrong.
        spelling: words between a letter and a word that begins with it: "D as in David".
        date_fillers: the same, next to a month or an ordinal: "the third of may".
        units: words after a number that show a quantity: "dollars", "minutes".
        at_words, dot_words, joint_words: "at", "dot", and "underscore" of an address.
        common: words that are never the local part of an address.
        letters: spelled letters that are not one character: "zed".
        starts: every beginning of a number, a month, an ordinal or a spelled letter.
        joint_starts: every beginning of a word that joins the parts of an address.
        marked: words that may be part of a value.
        joining: words that do not end a run of digits or letters.
        prefixes: the same as `starts`, and every beginning of a filler or a unit.
    """

    words: Mapping[str, Word]
    and_words: frozenset[str]
    fillers: frozenset[str]
    corrections: frozenset[str]
    spelling: frozenset[str]
    date_fillers: frozenset[str]
    units: frozenset[str]
    at_words: frozenset[str]
    dot_words: frozenset[str]
    joint_words: frozenset[str]
    common: frozenset[str]
    letters: Mapping[str, str]
    starts: frozenset[str]
    joint_starts: frozenset[str]
    marked: frozenset[str]
    joining: frozenset[str]
    prefixes: frozenset[str]

    def may_be_name(self, word: str) -> bool:
        """Return whether a word may be part of the name in "walter benning at gmail dot com"."""
        return word.isalpha() and word not in self.common and word not in _ORDINARY


@dataclass(frozen=True, slots=True)
class _Words:
    digits: str  # from zero; alternatives for one value are joined by "/"
    teens: str = ""  # from ten
    tens: str = ""  # from twenty
    hundred: str = ""
    thousand: str = ""
    repeat: str = ""  # from two
    ordinals: str = ""  # from first
    thirtieth: str = ""
    months: str = ""
    weak: Mapping[str, int] = field(default_factory=dict)
    hundreds: str = ""  # from one hundred
    more: Mapping[str, int] = field(default_factory=dict)  # closed numbers
    and_words: str = ""
    fillers: str = ""
    corrections: str = ""
    spelling: str = ""
    date_fillers: str = ""
    units: str = ""
    at_words: str = "at"
    dot_words: str = "dot period"
    joint_words: str = "underscore dash hyphen plus"
    common: str = ""
    letters: Mapping[str, str] = field(default_factory=dict)


_MONTHS: Final = "jan feb mar apr may jun jul aug sep/sept oct nov dec"
_NATO: Final = (
    "alpha/alfa bravo charlie delta echo foxtrot golf hotel india juliet/juliett kilo lima mike "
    "november oscar papa quebec romeo sierra tango uniform victor whiskey/whisky x-ray/xray "
    "yankee zulu"
)


def _numbered(text: str, first: int) -> Iterator[tuple[str, int]]:
    for value, words in enumerate(text.split(), start=first):
        yield from ((word, value) for word in words.split("/"))


_ENGLISH: Final = _Words(
    digits="zero/oh/nought/naught one two three four five six seven eight nine/niner",
    teens="ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
    tens="twenty thirty forty/fourty fifty sixty seventy eighty ninety",
    hundred="hundred",
    thousand="thousand",
    repeat="double triple/treble quadruple",
    ordinals="first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth",
    thirtieth="thirtieth",
    months="january february march april may june july august september october november december",
    weak={"to": 2, "too": 2, "for": 4, "ate": 8, "won": 1},
    and_words="and",
    fillers="uh um uhm er erm ah hmm mm mhm and then dash hyphen minus slash stroke space comma "
    "point dot okay ok yeah yes next again so right plus huh finally lastly",
    corrections="no sorry wait oops actually mean rather correction scratch nope pardon",
    spelling="as in for like",
    date_fillers="the of",
    units="dollars dollar euros euro pounds pound cents cent bucks pence percent minutes minute "
    "mins seconds hours hour days day weeks week months month years year pm am o'clock times "
    "people degrees miles kilometers meters feet inches grams kilos pounds units pieces items "
    "copies boxes points million billion number",
    common="the a and is it it's its i'm you to of that in on we my your or but so if this be with "
    "as are was not no yes yeah okay ok please thanks thank me us them him her at for from have "
    "has can could would will do did what's i i'll that's you're look meet out online here there "
    "website site page back sure just um uh well about arrive arrives available found work home "
    "email mail e-mail address works worked shop shopped order ordered buy bought sold sell",
    letters={"zed": "Z", "zee": "Z", "aitch": "H", "hash": "#"},
)
# Frequent words that are no names. A word that is not among them waits for up to two more.
_ORDINARY_WORDS: Final = (
    "able account actually after again ago all almost already also although always am another any "
    "anybody anymore anything anyway apologize appointment appreciate around ask asked asking away "
    "bad balance bank because been before being best better between bill billing both box bring "
    "business busy call called calling calls came cancel change charge charged check checked "
    "checking city claim close come coming company complete confirm contact correct cost could "
    "couple course credit current customer date day days deal definitely delivered delivery "
    "details did didn't difference different doing don't done down due during each early either "
    "else end enough even ever every everybody everything exactly expect fact far fee feel few "
    "figure file fill final fine first fix fixed form free friday full gave get gets getting give "
    "given gives go goes going gone gonna good got great guess guy guys had half happen happened "
    "happy hard hear heard hello help here's hi hold hope hour hours house how however hundred "
    "important information inside instead insurance into issue it'll i'd i've i'm job keep kept "
    "kind knew know known last late later least leave left less let let's letter level like line "
    "list listen little long longer looked looking looks lot love made make makes making man many "
    "matter maybe mean means meant message might mind minute minutes miss missing moment monday "
    "money month months more morning most move much must name need needed needs never new next "
    "nice night none normal note nothing notice now number off offer office often old once one "
    "only open option options order other our out over own package paid part pass past pay paying "
    "payment people per phone pick place plan point policy possible problem process product "
    "put question quick quite rate reach read reading ready real really reason receive received "
    "recent record refund related remember request rest return right room said same saturday saw "
    "say saying says second see seems seen send sent service set several shall she should show "
    "side sign since sir ma'am some somebody someone something sometimes somewhere soon sorry sort "
    "speak speaking special spell start started state stay step still stop store street stuff "
    "such sunday supposed system take taken takes taking talk talking tell text than that's their "
    "then there's these they they're thing things think this those though thought through "
    "thursday time times today together told tomorrow tonight too took total tried trouble true "
    "try trying tuesday turn two under understand until up update upset use used using usually "
    "very wait waiting want wanted wants was way we'll we're we've wednesday week weeks well went "
    "were what when where whether which while who whole whose why wife window wish within without "
    "woman won't wonder word working world worry worse wouldn't write writing wrong year years "
    "yesterday yet you'd you'll you've husband car"
)
_ORDINARY: Final = frozenset(_ORDINARY_WORDS.split())
_GERMAN: Final = _Words(
    digits="null eins/ein/eine zwei/zwo drei vier fünf/fuenf sechs sieben acht neun",
    teens="zehn elf zwölf/zwoelf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn",
    tens="zwanzig dreißig/dreissig vierzig fünfzig/fuenfzig sechzig siebzig achtzig neunzig",
    hundred="hundert",
    thousand="tausend",
    repeat="doppel/doppelt/zweimal dreifach/dreimal vierfach/viermal",
    ordinals="erste/ersten/erster zweite/zweiten/zweiter dritte/dritten/dritter "
    "vierte/vierten/vierter fünfte/fünften/fünfter sechste/sechsten/sechster "
    "siebte/siebten/siebter achte/achten/achter neunte/neunten/neunter zehnte/zehnten/zehnter "
    "elfte/elften/elfter zwölfte/zwölften/zwölfter dreizehnte/dreizehnten vierzehnte/vierzehnten "
    "fünfzehnte/fünfzehnten sechzehnte/sechzehnten siebzehnte/siebzehnten achtzehnte/achtzehnten "
    "neunzehnte/neunzehnten zwanzigste/zwanzigsten",
    thirtieth="dreißigste/dreißigsten/dreißigster",
    months="januar/jänner februar märz april mai juni/juno juli august september oktober november "
    "dezember",
    and_words="und",
    fillers="äh ähm hm mhm und dann strich minus bindestrich schrägstrich leerzeichen komma punkt "
    "okay ok ja genau nochmal",
    corrections="nein quatsch entschuldigung moment nee",
    spelling="wie",
    date_fillers="der den des",
    units="euro cent prozent minuten minute sekunden stunden stunde tage tagen wochen monate jahre "
    "jahren uhr mal leute grad kilometer meter gramm kilo stück millionen",
    at_words="at ät klammeraffe",
    dot_words="punkt dot",
    joint_words="unterstrich bindestrich strich minus plus",
    common="der die das und ist es ich sie zu von in auf wir mein meine ihre oder aber so "
    "wenn bitte danke ja nein nicht mir uns an am bei für mit hat haben kann ein eine mail "
    "email adresse",
)
_SPANISH: Final = _Words(
    digits="cero uno/un/una dos tres cuatro cinco seis siete ocho nueve",
    teens="diez once doce trece catorce quince dieciséis/dieciseis diecisiete dieciocho diecinueve",
    tens="veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    hundreds="cien/ciento doscientos/doscientas trescientos cuatrocientos quinientos seiscientos "
    "setecientos ochocientos novecientos",
    thousand="mil",
    repeat="doble triple cuádruple",
    ordinals="primero segundo tercero",
    months="enero febrero marzo abril mayo junio julio agosto septiembre/setiembre octubre "
    "noviembre diciembre",
    more={
        word: 20 + value
        for word, value in _numbered(
            "veintiuno/veintiún veintidós/veintidos veintitrés/veintitres veinticuatro veinticinco "
            "veintiséis/veintiseis veintisiete veintiocho veintinueve",
            1,
        )
    },
    and_words="y",
    fillers="eh em este y luego guion guión menos barra espacio coma punto vale ok sí si bueno del",
    corrections="no perdón espera digo",
    spelling="de como",
    date_fillers="de del el",
    units="euros euro céntimos dólares pesos por minutos minuto segundos horas hora días semanas "
    "meses años veces personas grados kilómetros metros gramos kilos millones",
    at_words="arroba",
    dot_words="punto",
    joint_words="guion guión bajo más",
    letters={
        "zeta": "Z",
        "hache": "H",
        "jota": "J",
        "ele": "L",
        "eme": "M",
        "ene": "N",
        "erre": "R",
        "equis": "X",
        "efe": "F",
        "uve": "V",
        "ce": "C",
        "ge": "G",
        "pe": "P",
        "te": "T",
        "cu": "Q",
    },
    common="el la los las y es de que en a mi su o pero si con por para no sí gracias favor me nos "
    "un una correo email dirección",
)


def _german_compounds(small: Mapping[str, Word]) -> Iterator[tuple[str, int]]:
    """Yield the German numbers that are written as one word, up to 999, and the years."""
    units = [(word, each.value) for word, each in small.items() if each.part is Part.DIGIT]
    units = [(word, value) for word, value in units if value and word not in ("eins", "eine")]
    tens = [(word, each.value) for word, each in small.items() if each.part is Part.TENS]
    pairs = [(f"{u}und{t}", value + ten) for u, value in units for t, ten in tens]
    yield from pairs
    below = [("", 0), ("eins", 1), *units, *tens, *pairs]
    below += [(word, each.value) for word, each in small.items() if each.part is Part.PAIR]
    factors = [*units, ("", 1), ("elf", 11)]
    factors += [(f"{word}zehn", 10 + value) for word, value in units] + [
        ("sechzehn", 16),
        ("siebzehn", 17),
    ]
    for head, factor in factors:
        yield from ((f"{head}hundert{word}", factor * 100 + value) for word, value in below)
    for head, factor in (("zwei", 2), ("ein", 1), ("", 1)):
        yield from ((f"{head}tausend{word}", factor * 1000 + value) for word, value in below)


_LANGUAGES: Final = MappingProxyType({"en": _ENGLISH, "de": _GERMAN, "es": _SPANISH})
LANGUAGES: Final = frozenset(_LANGUAGES)


@cache
def lexicon(language: str) -> Lexicon:
    """Return the words of a language, `en-US` or `en`; of English if there are none."""
    name = language.partition("-")[0].lower()
    source = _LANGUAGES.get(name, _ENGLISH)
    words = dict(_number_words(source))
    if source is _GERMAN:
        for word, value in _german_compounds(dict(words)):
            words.setdefault(word, Word(Part.PAIR, value))
            if 20 < value < 32:
                for ending in ("ste", "sten", "ster"):
                    words.setdefault(f"{word}{ending}", Word(Part.ORDINAL, value))
    sets = {
        each: frozenset(getattr(source, each).split())
        for each in (
            "and_words", "fillers", "corrections", "spelling", "date_fillers", "units", "at_words",
            "dot_words", "joint_words",
        )
    }  # fmt: skip
    letters = dict(source.letters) | {word: chr(64 + n) for word, n in _numbered(_NATO, 1)}
    letters = {word: letter for word, letter in letters.items() if word not in words}
    joints = [*sets["at_words"], *sets["dot_words"], *sets["joint_words"]]
    return Lexicon(
        words=MappingProxyType(words),
        **sets,
        common=frozenset(source.common.split()),
        letters=MappingProxyType(letters),
        starts=_prefixes([*words, *letters]),
        joint_starts=_prefixes(joints),
        marked=frozenset([*words, *letters, *joints]),
        joining=frozenset().union(
            *(sets[each] for each in ("fillers", "corrections", "spelling", "date_fillers"))
        ),
        prefixes=_prefixes([*words, *letters, *(word for each in sets.values() for word in each)]),
    )


def _number_words(source: _Words) -> Iterator[tuple[str, Word]]:
    for part, text, first, factor in (
        (Part.WEAK, "", 0, 1),
        (Part.MONTH, source.months, 1, 1),
        (Part.MONTH, _MONTHS, 1, 1),
        (Part.ORDINAL, source.ordinals, 1, 1),
        (Part.ORDINAL, source.thirtieth, 30, 1),
        (Part.DIGIT, source.digits, 0, 1),
        (Part.PAIR, source.teens, 10, 1),
        (Part.TENS, source.tens, 2, 10),
        (Part.HUNDREDS, source.hundreds, 1, 100),
        (Part.HUNDRED, source.hundred, 100, 1),
        (Part.THOUSAND, source.thousand, 1000, 1),
        (Part.REPEAT, source.repeat, 2, 1),
    ):
        yield from ((word, Word(part, n * factor)) for word, n in _numbered(text, first))
    yield from ((word, Word(Part.WEAK, value)) for word, value in source.weak.items())
    yield from ((word, Word(Part.PAIR, value)) for word, value in source.more.items())


def _prefixes(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word[:end] for word in words for end in range(1, len(word) + 1))
