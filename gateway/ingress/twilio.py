"""Twilio's routes: the webhook that starts a fork, and the media socket, both behind signatures."""

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

import structlog
from aiohttp import web

from gateway.calls.admission import Admission
from gateway.calls.registry import LiveStreams
from gateway.calls.services import CallServices
from gateway.carriers import twilio, twilio_webhook
from gateway.carriers.events import CallStarted
from gateway.carriers.json_media import MAX_MESSAGE_BYTES, JsonMediaAdapter
from gateway.errors import CarrierError
from gateway.ingress.media import MediaSocket
from gateway.settings import Settings

MEDIA_PATH: Final = "/media/twilio"
VOICE_PATH: Final = "/voice/twilio"
_BODY_TIMEOUT_S: Final = 10.0
_TRY_LATER: Final = {1012, 1013}  # RFC 6455's registry: Service Restart, Try Again Later
_MAX_FIELDS: Final = 200  # Twilio sends some thirty

_log = structlog.get_logger()


class TwilioRoutes:
    """What Twilio may ask of us. Closed unless its auth token is configured."""

    def __init__(
        self,
        settings: Settings,
        services: CallServices,
        streams: LiveStreams,
        admission: Admission,
    ) -> None:
        token = settings.twilio_auth_token
        self._settings = settings
        self._auth_token = token.get_secret_value() if token else None
        self._streams = streams
        self._routes = admission.routes
        self._refused_total = services.metrics.refused_total
        self._wall_s = services.wall_s
        self._media_url = "ws" + settings.public_url.removeprefix("http") + MEDIA_PATH
        self._media = MediaSocket(
            twilio.CARRIER,
            lambda: JsonMediaAdapter(twilio.DIALECT),
            services,
            streams,
            admission,
            max_message_bytes=MAX_MESSAGE_BYTES,
            start_timeout_s=settings.start_timeout_s,
            heartbeat_s=settings.heartbeat_s,
            authorize=self._check_token,
            hidden_params=frozenset({twilio.CREDENTIAL}),
        )
        if settings.twilio_ignore_signatures:
            _log.warning("twilio-signatures-ignored")
        for route in self._routes.routes:
            if route.serves(twilio.CARRIER) and route.called and route.params:
                why = "Twilio tells the number and the parameters at different times"
                _log.warning("route-never-chosen", route=route.name, why=why)

    def add_to(self, app: web.Application) -> None:
        """Add the routes that the settings open."""
        if not (self._auth_token or self._settings.twilio_ignore_signatures):
            _log.warning("twilio-closed", needs="GATEWAY_TWILIO_AUTH_TOKEN")
            return
        app.router.add_get(MEDIA_PATH, self._serve_media)
        app.router.add_get(MEDIA_PATH + "/{route}", self._serve_media)
        if self._settings.twilio_dial or self._settings.twilio_redirect_url:
            app.router.add_post(VOICE_PATH, self._answer_call)
        else:
            needs = "GATEWAY_TWILIO_DIAL or GATEWAY_TWILIO_REDIRECT_URL"
            _log.warning("twilio-webhook-closed", needs=needs)

    async def _serve_media(self, request: web.Request) -> web.StreamResponse:
        route_name = request.match_info.get("route")
        url = f"{self._media_url}/{route_name}" if route_name else self._media_url
        try:
            self._check_signature(request, url)
            return await self._media.serve(request, route_name)
        except CarrierError as error:
            return self._refuse(error)

    async def _answer_call(self, request: web.Request) -> web.Response:
        form = await _read_form(request)
        try:
            self._check_signature(request, self._settings.public_url + VOICE_PATH, form)
            self._streams.refuse_when_draining()
        except CarrierError as error:
            return self._refuse(error)
        fields = dict(form)
        call_sid = fields.get("CallSid")
        if not call_sid:
            return web.Response(status=400, text="CallSid is missing\n")
        expires_s = int(self._wall_s()) + self._settings.twilio_token_ttl_s
        token = twilio_webhook.mint_token(self._auth_token or "", call_sid, expires_s)
        document = twilio_webhook.answer(
            self._stream_url(fields.get("To")),
            token,
            dial=self._settings.twilio_dial,
            redirect_url=self._settings.twilio_redirect_url,
        )
        return web.Response(body=document, content_type="text/xml")

    def _stream_url(self, called: str | None) -> str | None:
        """Say where a call's media go; None if no route is for it: then it goes on unheard."""
        route = self._routes.choose(twilio.CARRIER, called, {})
        if route is None:
            self._refused_total.labels(twilio.CARRIER, "no-route").inc()
            _log.warning("call-without-route", carrier=twilio.CARRIER)
            return None
        if route is self._routes.certain(twilio.CARRIER):
            return self._media_url
        # In the path, because <Stream> takes no query; the upgrade's signature covers it.
        return f"{self._media_url}/{route.name}"

    def _check_signature(
        self, request: web.Request, url: str, form: Sequence[tuple[str, str]] = ()
    ) -> None:
        if self._auth_token is None:
            return
        if request.query_string:
            url += "?" + request.raw_path.partition("?")[2]
        signature = request.headers.get(twilio_webhook.SIGNATURE_HEADER)
        twilio_webhook.verify(self._auth_token, url, signature, form)

    def _check_token(self, start: CallStarted) -> None:
        token = start.params.get(twilio.CREDENTIAL)
        if token is not None:
            twilio_webhook.verify_token(
                self._auth_token or "", start.call_id, token, self._wall_s()
            )
        elif self._settings.twilio_require_token:
            raise CarrierError("token-missing")

    def _refuse(self, error: CarrierError) -> web.Response:
        """Answer a request that is not let in; which check failed is for our log, not for them."""
        self._refused_total.labels(twilio.CARRIER, error.reason).inc()
        _log.warning("request-refused", carrier=twilio.CARRIER, reason=error.reason)
        if error.meaning.close_code in _TRY_LATER:
            return web.Response(status=503, text="try again later\n", headers={"Retry-After": "5"})
        if error.reason == "no-route":
            return web.Response(status=404, text="not found\n")
        return web.Response(status=403, text="forbidden\n")


async def _read_form(request: web.Request) -> list[tuple[str, str]]:
    """Read a posted form as Twilio sends it; what the client says of its charset is ignored.

    aiohttp would decode with any codec the client names, and one of them takes a second.

    Raises:
        web.HTTPException: 400, 408, 413 or 415.
    """
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            body = await request.read()
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (ValueError, web.RequestPayloadError):
        raise web.HTTPBadRequest from None
