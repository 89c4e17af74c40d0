"""Recognize custom parameters that hold secrets by their names. Pure.

A name is split into words at punctuation and capitals: `authTok`, `x-api-key` and `CARD_PIN`
contain the words `tok`, `key` and `pin`; `design`, `monkey` and `spinning` do not.
"""

import re
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

# Short words, which match only as whole words. Digits may follow (`otp1`, `cvv2`).
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
# Longer stems, which also match inside a name without word boundaries.
_STEMS: Final = re.compile(
    r"token|secret(?!ar)|passw|passphrase|authori[sz]|bearer|jwt|credential|signature|sessid"
    r"|(?:session|user)[-_ .]?(?:id)?[-_ .]?(?:key|tok)|session[-_ .]?id|(?:user|login)session"
    r"|(?:api|access|auth|private|shared|signing)[-_ .]?key"
    r"|(?:pass|access|auth|security|verification|otp)[-_ .]?code|(?:card|user|customer|account)pin"
)


def is_secret_name(name: str) -> bool:
    """Return whether a parameter's name suggests that its value is a secret."""
    words = (word.lower() for word in _WORD.findall(name))
    return not _WORDS.isdisjoint(words) or bool(_STEMS.search(name.lower()))
