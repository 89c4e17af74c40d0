"""The settings of the relay, besides those of signing in: `WORKER_RELAY_<NAME>`."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, PositiveInt, SecretStr, model_validator
from pydantic_settings import BaseSettings

from common.settings import Names, Port, config, matching
from workers.settings import Texts


def _check_urls(urls: tuple[str, ...]) -> tuple[str, ...]:
    if not all(url.startswith(("http://", "https://")) for url in urls):
        raise ValueError("must be URLs that begin with http:// or https://, separated by commas")
    return tuple(url.rstrip("/") for url in urls)


class Settings(BaseSettings):
    """What the relay shows, and where."""

    model_config = config("WORKER_RELAY_", env_file=".env")

    host: str = Field(
        "127.0.0.1",
        description="Addresses of the pages, comma-separated. :: is all addresses, IPv4 and IPv6.",
    )
    port: Port = Field(8100, description="Port of the pages.")
    text: Texts = Field(
        Texts.REDACTED,
        description="Which text the relay reads: redacted (from the worker redact), raw, or both. "
        "A viewer who may see raw text sees redacted text if there is no other.",
    )
    ended_s: PositiveInt = Field(
        900, description="How long an ended call stays in the list, in seconds."
    )
    max_viewers: PositiveInt = Field(
        2000,
        description="Feeds that are open at the same time; more get 503. The page of a call opens "
        "two, the second one while it is in front.",
    )
    gateway_urls: Annotated[Names, AfterValidator(_check_urls)] = Field(
        (),
        description="The gateways' private ports, such as http://10.0.0.7:9000, separated by "
        "commas: for the state of live calls, and for the microphone.",
    )
    gateway_token: SecretStr | None = Field(
        None,
        description="A token of GATEWAY_ADMIN_TOKENS with the scopes read and mint.",
    )
    microphone_route: str = Field(
        "", description="The route of calls from the microphone page. Empty: no microphone."
    )
    media_url: Annotated[
        str, matching(r"(wss?://[^/?#]+)?", "must be ws:// or wss:// and a host")
    ] = Field(
        "",
        description="How browsers reach the gateways' public port, if not at GATEWAY_PUBLIC_URL: "
        "wss://host[:port].",
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if self.microphone_route and not self.gateway_urls:
            raise ValueError("WORKER_RELAY_MICROPHONE_ROUTE needs WORKER_RELAY_GATEWAY_URLS")
        if bool(self.gateway_urls) != bool(self.gateway_token):
            raise ValueError("WORKER_RELAY_GATEWAY_URLS and WORKER_RELAY_GATEWAY_TOKEN go together")
        return self
