"""The languages that servers report, as BCP 47 codes. Pure.

Servers report codes in various forms (`en`, `EN-us`, `zh_Hans`) or English names. A code is
published, so it must not contain anything else that a server may send.
"""

import re
from typing import Final

_LONGEST: Final = 35  # the longest code that any software must accept, by RFC 5646
# Language, script, region.
_CODE: Final = re.compile(r"([a-z]{2,3})(?:[-_]([a-z]{4}))?(?:[-_]([a-z]{2}|[0-9]{3}))?", re.I)
_NO_LANGUAGE: Final = frozenset({"mis", "mul", "und", "zxx"})
# Qwen3-ASR's languages, by the names that it uses.
_BY_NAME: Final = {
    "arabic": "ar",
    "cantonese": "yue",
    "chinese": "zh",
    "czech": "cs",
    "danish": "da",
    "dutch": "nl",
    "english": "en",
    "filipino": "fil",
    "finnish": "fi",
    "french": "fr",
    "german": "de",
    "greek": "el",
    "hindi": "hi",
    "hungarian": "hu",
    "indonesian": "id",
    "italian": "it",
    "japanese": "ja",
    "korean": "ko",
    "macedonian": "mk",
    "malay": "ms",
    "persian": "fa",
    "polish": "pl",
    "portuguese": "pt",
    "romanian": "ro",
    "russian": "ru",
    "spanish": "es",
    "swedish": "sv",
    "thai": "th",
    "turkish": "tr",
    "vietnamese": "vi",
}


def language_code(reported: object) -> str | None:
    """Return a reported language as a code, such as `en`, `pt-BR` or `zh-Hans`.

    Args:
        reported: a value from a server's message, of any type.

    Returns:
        None if it is neither a code nor a known name, or stands for no language.
    """
    if not isinstance(reported, str) or len(reported) > _LONGEST:
        return None
    if code := _BY_NAME.get(reported.lower()):
        return code
    found = _CODE.fullmatch(reported)
    if found is None or found[1].lower() in _NO_LANGUAGE:
        return None
    script, region = found[2] or "", found[3] or ""
    return "-".join(filter(None, (found[1].lower(), script.title(), region.upper())))
