"""Which custom parameters are secrets, by their names. Pure.

A name is cut into words at its punctuation and its capitals: `authTok`, `x-api-key` and `CARD_PIN`
have the words `tok`, `key` and `pin`; `design`, `monkey` and `spinning` have none of them.
"""

import re
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

# Short words, which count only as whole words; digits may follow (`otp1`, `cvv2`).
_WORDS: Final = frozenset(
    {
        *(
            "tok",
            "auth",
            "oauth",
            "sso",
            "sas",
            "key",
            "keys",
            "pass",
            "pwd",
            "pw",
            "pin",
            "pincode",
        ),
        *("sig", "hmac", "nonce", "cred", "creds", "otp", "totp", "mfa", "tfa", "tan"),
        *("cvv", "cvc", "cvn", "csc", "pan", "ssn"),
        *("session", "sessions", "sess", "cookie", "cookies", "csrf", "xsrf"),
    }
)
# Longer ones, which also count in the middle of a name that is written without any mark.
_STEMS: Final = re.compile(
    r"token|secret(?!ar)|passw|passphrase|authori[sz]|bearer|jwt|credential|signature|sessid"
    r"|(?:session|user)[-_ .]?(?:id)?[-_ .]?(?:key|tok)|session[-_ .]?id|(?:user|login)session"
    r"|(?:api|access|auth|private|shared|signing)[-_ .]?key"
    r"|(?:pass|access|auth|security|verification|otp)[-_ .]?code|(?:card|user|customer|account)pin"
)


def is_secret_name(name: str) -> bool:
    """Return whether a parameter's name says that its value is a secret."""
    words = (word.lower() for word in _WORD.findall(name))
    return not _WORDS.isdisjoint(words) or bool(_STEMS.search(name.lower()))
