"""What an error of Redis means: to be tried again, or final.

Nothing that time, a failover or an operator mends may drop an event. So only errors known to be our
own are final: a key of another type, a bug in a script, an argument that no server takes. Any other
error, also one that is not known here, is tried again.

A script reports the errors of its commands in a form that differs by server and version:

    Redis 7        OOM command not allowed ... script: <sha>, on @user_script:65.
    Valkey 9       OOM command not allowed ... script: on @user_script:65.
    Redis 7.0      ERR The user executing the script can't run this command or ...
    Redis 7.2      ERR ACL failure in script: User gateway has no permissions to run ...
    before 7.0     ERR Error running script (call to f_<sha>): @user_script: 65: -READONLY You ...

Of an error's text only words from the table below are passed on: the rest may quote what was sent.
"""

import re
import ssl
from collections.abc import Iterator

from redis.exceptions import AuthenticationError, ResponseError

from gateway.errors import PublishError

_CODES = re.compile(
    r"\b(ASK|BUSY|CLUSTERDOWN|CROSSSLOT|LOADING|MASTERDOWN|MISCONF|MOVED|NOAUTH|NOPERM|NOREPLICAS"
    r"|OOM|READONLY|TRYAGAIN|UNBLOCKED|WRONGPASS|WRONGTYPE)\b"
)
_DENIED = re.compile("ACL failure in script|The user executing the script can't")
_FINAL = re.compile(
    r"^(WRONGTYPE|CROSSSLOT)\b"
    r"|^ERR (user_script:\d+:|Error compiling script|Protocol error|syntax error"
    r"|(?i:wrong number of arg)|value is not |string exceeds maximum"
    r"|The ID specified in XADD)"
)

# https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_UNKNOWN_CA = {2, 18, 19, 20, 21}
_EXPIRED = {9, 10}
_WRONG_NAME = {62, 64}
# Words in an SSL error's reason, in the order they are looked for.
_TLS_REASONS = {
    "CERTIFICATE_REQUIRED": "certificate needed",
    "HANDSHAKE_FAILURE": "certificate needed, or no cipher in common",  # TLS 1.2 says no more
    "ALERT_UNKNOWN_CA": "client certificate of an unknown CA",
    "ALERT": "client certificate refused",
    "WRONG_VERSION_NUMBER": "the server does not speak TLS",
    "RECORD_LAYER_FAILURE": "the server does not speak TLS",
}


def classify(error: BaseException) -> PublishError:
    """Return `redis-refused` for what never succeeds, else `redis-unavailable`.

    The detail is the server's code (`READONLY`), the failure of TLS, or the type of the error.
    """
    if isinstance(error, ResponseError) and _FINAL.search(_text(error)):
        return PublishError("redis-refused", code_of(error))
    tls = tls_failure(error)
    detail = f"TLS: {tls}" if tls else code_of(error) or type(error).__name__
    return PublishError("redis-unavailable", detail)


def code_of(error: BaseException) -> str:
    """Return the code of the answer that is an error, or led to it; empty without one."""
    for cause in _causes(error):
        text = _text(cause)
        if _DENIED.search(text):
            return "NOPERM"
        if found := _CODES.search(text):
            return found[1]
    return ""


def tls_failure(error: BaseException) -> str:
    """Name the failure of TLS that an error is, or was caused by; empty if it is none."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            if cause.verify_code in _UNKNOWN_CA:
                return "unknown CA"
            if cause.verify_code in _WRONG_NAME:
                return "host name"
            return "certificate expired" if cause.verify_code in _EXPIRED else "certificate invalid"
        if isinstance(cause, ssl.SSLError):
            reason = cause.reason or ""
            return next((name for word, name in _TLS_REASONS.items() if word in reason), "failed")
    return ""


def refusal(error: BaseException) -> str:
    """Return why a connection with these settings is refused; empty if waiting may help."""
    text = _text(error)
    if tls := tls_failure(error):
        return f"TLS: {tls}"
    if any(isinstance(cause, AuthenticationError) for cause in _causes(error)):
        return "wrong user or password"
    if code_of(error) == "NOPERM":
        return "the user lacks a permission (NOPERM)"
    if "DB index is out of range" in text:
        return "no such database"
    if "Cluster mode is not enabled" in text and not code_of(error):
        return "it is no cluster"
    return ""


def _text(error: BaseException) -> str:
    """Return the answer as it came: redis-py removes the code of those it has a class for."""
    code = getattr(error, "status_code", None)
    return f"{code} {error}" if code else str(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
