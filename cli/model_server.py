"""The options that choose a model server, and the access to it."""

from pathlib import Path
from typing import Annotated, Final

import typer

from cli.errors import CommandError
from gateway.admission.endpoint import Access
from gateway.upstream.dialects.dialect import Options
from gateway.upstream.dialects.registry import DialectName, make_dialect

DEFAULT_MODEL: Final = "mistralai/Voxtral-Mini-4B-Realtime-2602"

Endpoint = Annotated[str | None, typer.Option(help="Name of the SageMaker endpoint.")]
RealtimeUrl = Annotated[
    str | None, typer.Option(help="ws(s)://host/v1/realtime of the vLLM server.")
]
Model = Annotated[
    str, typer.Option(envvar="GATEWAY_MODEL", help="The name under which the model is served.")
]
Region = Annotated[str | None, typer.Option(envvar="AWS_REGION", help="The endpoint's region.")]
EndpointUrl = Annotated[
    str | None,
    typer.Option(
        envvar="GATEWAY_SAGEMAKER_URL", help="URL to use instead of the region's default."
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(envvar="GATEWAY_SAGEMAKER_CA_FILE", help="PEM file of a private CA to trust."),
]
DialectOption = Annotated[
    DialectName,
    typer.Option("--dialect", envvar="GATEWAY_DIALECT", help="The server's protocol and model."),
]
ApiKey = Annotated[
    str | None, typer.Option(envvar="GATEWAY_REALTIME_API_KEY", help="The Realtime server's key.")
]
Language = Annotated[
    str | None,
    typer.Option(
        help="What is spoken, such as en or pt-BR: sent to servers that take a hint, and used to "
        "compare words. Default: no hint, and words are compared as English."
    ),
]


def access_to(
    endpoint: str | None,
    realtime_url: str | None,
    region: str | None,
    endpoint_url: str | None,
    ca_file: Path | None,
    api_key: str | None,
    model: str,
    dialect: DialectName = DialectName.VOXTRAL,
) -> Access:
    """Return the access that the options choose; its transport must be closed.

    Raises:
        CommandError: the options choose no server, or two.
    """
    spoken, options = make_dialect(dialect), Options(model)
    # Imported here because the SDK takes a second to import, and few commands need it.
    from gateway.upstream.sagemaker.transport import SageMakerTransport
    from gateway.upstream.websocket import WebSocketTransport

    match endpoint, realtime_url:
        case str(name), None if region:
            transport = SageMakerTransport(name, region, url=endpoint_url, ca_file=ca_file)
            return Access(transport, spoken, options)
        case str(), None:
            raise CommandError("--endpoint needs --region, or AWS_REGION")
        case None, str(url):
            return Access(WebSocketTransport(url), spoken, options, api_key)
        case _:
            raise CommandError("pass either --endpoint NAME or --realtime-url ws://...")
