"""Classify errors of Redis: retry, or final.

Failures that can end by themselves, by a failover or by an operator must not drop events. So only
errors known to be mistakes of the gateway are final: a key of the wrong type, a bug in a script, an
argument that no server accepts. All other errors, including unknown ones, are retried.

The form in which a script reports the errors of its commands depends on the server and its version:

    Redis 7        OOM command not allowed ... script: <sha>, on @user_script:65.
    Valkey 9       OOM command not allowed ... script: on @user_script:65.
    Redis 7.0      ERR The user executing the script can't run this command or ...
    Redis 7.2      ERR ACL failure in script: User gateway has no permissions to run ...
    before 7.0     ERR Error running script (call to f_<sha>): @user_script: 65: -READONLY You ...

Only the codes in the table below are taken from an error's text. The rest may quote the command.
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
_ERASED = "ERASED"  # the reply of append.lua to events of an erased call
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
# Words in an SSL error's reason, in the order of the search.
_TLS_REASONS = {
    "CERTIFICATE_REQUIRED": "certificate needed",
    "HANDSHAKE_FAILURE": "certificate needed, or no cipher in common",  # in TLS 1.2
    "ALERT_UNKNOWN_CA": "client certificate of an unknown CA",
    "ALERT": "client certificate refused",
    "WRONG_VERSION_NUMBER": "the server does not speak TLS",
    "RECORD_LAYER_FAILURE": "the server does not speak TLS",
}


def classify(error: BaseException) -> PublishError:
    """Return `redis-refused` if a retry cannot succeed, otherwise `redis-unavailable`.

    Events of a call that was erased are refused as `call-erased`. The detail is the server's error
    code (such as `READONLY`), the TLS failure, or the type of the error.
    """
    if isinstance(error, ResponseError) and _text(error).startswith(_ERASED):
        return PublishError("call-erased")
    if isinstance(error, ResponseError) and _FINAL.search(_text(error)):
        return PublishError("redis-refused", code_of(error))
    tls = tls_failure(error)
    detail = f"TLS: {tls}" if tls else code_of(error) or type(error).__name__
    return PublishError("redis-unavailable", detail)


def code_of(error: BaseException) -> str:
    """Return the server's error code from an error or its causes; empty if there is none."""
    for cause in _causes(error):
        text = _text(cause)
        if _DENIED.search(text):
            return "NOPERM"
        if found := _CODES.search(text):
            return found[1]
    return ""


def tls_failure(error: BaseException) -> str:
    """Return the TLS failure in an error or its causes; empty if there is none."""
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
    """Return why a server refuses these settings; empty if a retry can succeed."""
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
        return "it is not a cluster"
    return ""


def _text(error: BaseException) -> str:
    """Return the error as sent: redis-py removes the code if it has a class for it."""
    code = getattr(error, "status_code", None)
    return f"{code} {error}" if code else str(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
