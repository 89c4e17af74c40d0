"""Who gets which messages: the subscriptions, read from a TOML file before the worker starts.

docs/push.md is the reference of the file. It contains no secrets: `env:NAME` is a variable of the
environment or of `.env`, `file:PATH` is a file.
"""

import base64
import binascii
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common import wording
from common.settings import SettingsError, matching
from workers.push.messages import CALL_ENDED

_SECRET_BYTES: Final = range(24, 65)  # Standard Webhooks, "Signature scheme"
_PREFIX: Final = "whsec_"
_BROKERS: Final = re.compile(r"kafka(\+ssl)?://[^\s:/,@]+:\d{1,5}(,[^\s:/,@]+:\d{1,5})*")
_SHORTEST_RSA: Final = 2048  # bits; NIST SP 800-131A
TLS_KAFKA: Final = "kafka+ssl://"
_MOST: Final = 100  # subscriptions
_LONGEST_FILE: Final = 65_536  # bytes of a file with a secret

_EVENTS: Final = frozenset(
    {"stream.started", "transcript.final", "transcript.gap", "stream.ended", CALL_ENDED}
)


class Text(StrEnum):
    """Which text a subscription gets."""

    RAW = "raw"
    REDACTED = "redacted"


# What each stream of a partition contains, by the texts for which it is read. A subscription to
# redacted text reads no stream that contains raw words.
SOURCES: Final[Mapping[str, tuple[frozenset[Text], frozenset[str]]]] = {
    "events": (frozenset({Text.RAW}), _EVENTS),
    "redacted": (frozenset({Text.REDACTED}), _EVENTS),
    "alerts": (frozenset(Text), frozenset({"assist.alert"})),
    "wrapups": (frozenset({Text.RAW}), frozenset({"assist.wrapup"})),
    "redacted-wrapups": (frozenset(Text), frozenset({"assist.wrapup"})),
}

type Id = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}",
        "must be 1 to 63 of A-Z a-z 0-9 _ - and begin with a letter or a digit",
    ),
]
type Reference = Annotated[
    str, matching(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)", "must be env:NAME or file:PATH")
]
type Location = Annotated[
    str,
    matching(
        r"((https?|kafka(\+ssl)?)://\S+|env:\w+|file:.+)", "must be a URL, env:NAME or file:PATH"
    ),
]
type Kind = Literal[
    "stream.started",
    "transcript.final",
    "transcript.gap",
    "stream.ended",
    "call.ended",
    "assist.alert",
    "assist.wrapup",
]


type Topic = Annotated[
    str, matching(r"[A-Za-z0-9._-]{1,249}", "must be 1 to 249 of A-Z a-z 0-9 . _ -")
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SubscriptionConfig(_Model):
    """One subscription as in the file."""

    url: Location
    secrets: Annotated[tuple[Reference, ...], Field(max_length=8)] = ()
    types: Annotated[tuple[Kind, ...], Field(min_length=1)] = (
        "transcript.final",
        "call.ended",
        "assist.alert",
        "assist.wrapup",
    )
    text: Text = Text.REDACTED
    routes: tuple[str, ...] | None = None  # None: all
    tenants: tuple[str, ...] | None = None  # None: all
    adapter: Literal["webhook", "salesforce", "kafka"] = "webhook"
    topic: Topic | None = None
    org_id: (
        Annotated[str, matching(r"[A-Za-z0-9]{15,18}", "must be 15 to 18 characters")] | None
    ) = None
    call_center: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    provider: Annotated[str, Field(min_length=1, max_length=80)] = "Callscribe"


class _File(_Model):
    subscriptions: Annotated[dict[Id, SubscriptionConfig], Field(min_length=1, max_length=_MOST)]


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription, without its secrets: what is sent to whom.

    Attributes:
        id: its name in the file.
        types: of the messages.
        text: which text it gets.
        routes: whose calls; None: of all routes.
        tenants: whose calls; None: of all tenants.
    """

    id: str
    types: frozenset[str]
    text: Text
    routes: frozenset[str] | None = None
    tenants: frozenset[str] | None = None

    def reads(self, source: str) -> bool:
        """Return whether it gets messages from a stream of the partitions."""
        texts, types = SOURCES[source]
        return self.text in texts and bool(self.types & types)

    def wants(self, kind: str, tenant: str, route: str | None) -> bool:
        """Return whether it gets a message of a type from a call."""
        return (
            kind in self.types
            and (self.tenants is None or tenant in self.tenants)
            and (self.routes is None or route in self.routes)
        )


class Listed(NamedTuple):
    """A subscription, and where its messages are sent as far as that may be shown."""

    subscription: Subscription
    place: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where messages of a subscription are sent, and how they are signed.

    Attributes:
        subscription: what is sent.
        url: where; may contain a secret.
        secrets: keys of the signatures; several while a secret is replaced. Of `salesforce`: its
            private key, in PEM.
        adapter: how.
        org_id: of Salesforce.
        call_center: the API name of the call center in Salesforce.
        provider: the name of the telephony provider in Salesforce.
        topic: of Kafka.
        client_certificate: file with a certificate and its key, for brokers that require one.
    """

    subscription: Subscription
    url: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    adapter: str = "webhook"
    org_id: str = ""
    call_center: str = ""
    provider: str = ""
    topic: str = ""
    client_certificate: Path | None = None


def read_subscriptions(path: Path) -> list[Listed]:
    """Read the subscriptions without their secrets.

    Raises:
        SettingsError: one line that names the file, the subscription and the key.
    """
    return [Listed(_subscription(name, each), _shown(each)) for name, each in _read(path).items()]


def _shown(config: SubscriptionConfig) -> str:
    """Return the host of a URL, whose other parts may contain a secret."""
    if _is_reference(config.url) or _BROKERS.fullmatch(config.url):
        return config.url
    try:
        parts = urlsplit(config.url)
    except ValueError:
        return "malformed"
    return f"{parts.scheme}://{parts.hostname}"


def _is_reference(location: str) -> bool:
    return location.startswith(("env:", "file:"))


def read_endpoints(path: Path, *, allow_http: bool) -> list[Endpoint]:
    """Read the subscriptions with their URLs and secrets.

    Args:
        path: the file.
        allow_http: whether URLs may begin with http://.

    Raises:
        SettingsError: one line that names the file, the subscription and the key, and quotes no
            value.
    """
    found = _read(path)
    return [_endpoint(path, name, each, allow_http=allow_http) for name, each in found.items()]


def sources(subscriptions: Iterable[Subscription]) -> list[str]:
    """Return the streams of the partitions that subscriptions need."""
    each = list(subscriptions)
    return [source for source in SOURCES if any(one.reads(source) for one in each)]


def _read(path: Path) -> Mapping[str, SubscriptionConfig]:
    where = f"subscriptions file {path}"
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).subscriptions
    except tomllib.TOMLDecodeError as error:  # first: a ValueError, as the next two are
        raise SettingsError(f"{where} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise SettingsError(f"{where}: {'; '.join(_sentences(error))}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where} cannot be read: {type(error).__name__}") from None


def _sentences(error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_input=False, include_url=False):
        parts = [str(part) for part in problem["loc"] if part != "[key]"]
        yield f"{'.'.join(parts)}: {wording.sentence(problem, None)}"


def _subscription(name: str, config: SubscriptionConfig) -> Subscription:
    return Subscription(
        name,
        frozenset(config.types),
        config.text,
        None if config.routes is None else frozenset(config.routes),
        None if config.tenants is None else frozenset(config.tenants),
    )


def _endpoint(path: Path, name: str, config: SubscriptionConfig, *, allow_http: bool) -> Endpoint:
    def problem(key: str, what: str) -> SettingsError:
        return SettingsError(f"subscriptions file {path}: subscriptions.{name}.{key}: {what}")

    def resolve(key: str, reference: str) -> str:
        try:
            return _resolve(reference, path.parent)
        except LookupError as error:
            raise problem(key, str(error.args[0])) from None

    url = resolve("url", config.url) if _is_reference(config.url) else config.url
    for where, what in _faults(config, url, allow_http=allow_http):
        raise problem(where, what)
    if config.adapter == "kafka":
        files = [path.parent / each.removeprefix("file:") for each in config.secrets]
        return Endpoint(
            _subscription(name, config),
            url,
            (),
            config.adapter,
            topic=config.topic or "",
            client_certificate=files[0] if files else None,
        )
    read, form = _SECRETS[config.adapter]
    keys = []
    for position, reference in enumerate(config.secrets):
        key = read(resolve(f"secrets.{position}", reference))
        if key is None:
            raise problem(f"secrets.{position}", f"{reference} must contain {form}")
        keys.append(key)
    return Endpoint(
        _subscription(name, config),
        url,
        tuple(keys),
        config.adapter,
        config.org_id or "",
        config.call_center or "",
        config.provider,
    )


def _faults(config: SubscriptionConfig, url: str, *, allow_http: bool) -> Iterator[tuple[str, str]]:
    """Yield the keys with values that their adapter can't use, and what they must be."""
    needed = {"salesforce": ("org_id", "call_center"), "kafka": ("topic",)}
    for key in needed.get(config.adapter, ()):
        if getattr(config, key) is None:
            yield key, f"must be set for the adapter {config.adapter}"
    if config.adapter == "kafka":
        if len(config.secrets) > 1 or not all(each.startswith("file:") for each in config.secrets):
            yield "secrets", "must be absent, or one file:PATH, for the adapter kafka"
        if what := _fault_of_brokers(url, allow_plain=allow_http):
            yield "url", what
        return
    if not config.secrets:
        yield "secrets", "must not be empty"
    if config.adapter == "salesforce" and set(config.types) != {"transcript.final"}:
        yield "types", 'must be ["transcript.final"] for the adapter salesforce'
    if config.adapter == "salesforce" and len(config.secrets) > 1:
        yield "secrets", "must have one entry for the adapter salesforce"
    if what := _fault_of_url(url, allow_http=allow_http):
        yield "url", what


def _resolve(reference: str, folder: Path) -> str:
    """Return the value that `env:NAME` or `file:PATH` refers to.

    Raises:
        LookupError: there is none. The message names the reference, not a value.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name) or dotenv_values(".env").get(name)
        if not value:
            raise LookupError(f"the variable {name} is not set")
        return value.strip()
    try:
        with (folder / name).open(encoding="utf-8") as file:
            return file.read(_LONGEST_FILE).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LookupError(f"the file {name} cannot be read: {type(error).__name__}") from None


def _fault_of_url(url: str, *, allow_http: bool) -> str:
    """Return what is wrong with a URL, without quoting it; empty if nothing is."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return "must be a URL, with its scheme and host"
    if parts.scheme == "http" and not allow_http:
        return "must begin with https:// (WORKER_PUSH_ALLOW_HTTP allows http://)"
    if parts.scheme not in ("http", "https") or not has_host:
        return "must be a URL, with its scheme and host"
    if parts.username is not None or parts.password is not None:
        return "must contain no user and no password"
    return ""


def _fault_of_brokers(url: str, *, allow_plain: bool) -> str:
    """Return what is wrong with the URL of brokers; empty if nothing is."""
    if not _BROKERS.fullmatch(url):
        return "must be kafka+ssl://HOST:PORT[,HOST:PORT ...]"
    if not url.startswith(TLS_KAFKA) and not allow_plain:
        return "must begin with kafka+ssl:// (WORKER_PUSH_ALLOW_HTTP allows kafka://)"
    return ""


def _secret(text: str) -> bytes | None:
    """Return the bytes of a secret in the form of Standard Webhooks; None if it has another."""
    digits = text.removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if text.startswith(_PREFIX) and len(key) in _SECRET_BYTES else None


def _private_key(text: str) -> bytes | None:
    """Return an RSA private key in PEM; None if it is none."""
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    is_long = isinstance(key, RSAPrivateKey) and key.key_size >= _SHORTEST_RSA
    return text.encode() if is_long else None


# How a secret of an adapter is read, and what it must be.
_SECRETS: Final[Mapping[str, tuple[Callable[[str], bytes | None], str]]] = {
    "webhook": (_secret, "whsec_ and 24 to 64 bytes in Base64"),
    "salesforce": (
        _private_key,
        "an RSA private key of 2048 bits or more, in PEM without a password",
    ),
}
