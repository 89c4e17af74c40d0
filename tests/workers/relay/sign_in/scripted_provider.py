"""An OpenID provider whose every response a test can change, and a mock of a complete one."""

import asyncio
import contextlib
import json
import os
import sys
import time
from asyncio.subprocess import DEVNULL
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import jwt
from aiohttp import ClientError, ClientSession, web
from cryptography.hazmat.primitives.asymmetric import rsa

from common.serving import listening
from tests.redis_servers import free_port

KEYS = {kid: rsa.generate_private_key(public_exponent=65537, key_size=2048) for kid in ("k1", "k2")}


class ScriptedProvider:
    """Issues a code for each authorization request at once, as if the user had consented.

    Attributes:
        kid: the key that signs ID tokens.
        published: the keys in the key set.
        claims: replaced claims of ID tokens.
        document: replaced values of the discovery document.
        fault: `down`, `slow` or `huge` makes all documents fail.
        fetched: how often each path was requested.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.kid = "k1"
        self.published = ["k1"]
        self.claims: dict[str, Any] = {}
        self.document: dict[str, Any] = {}
        self.fault = ""
        self.fetched: dict[str, int] = {}
        self._codes: dict[str, dict[str, str]] = {}

    async def respond(self, request: web.Request) -> web.Response:
        self.fetched[request.path] = self.fetched.get(request.path, 0) + 1
        match self.fault:
            case "down":
                raise web.HTTPServiceUnavailable
            case "slow":
                await asyncio.sleep(1)
            case "huge":
                return web.Response(body=b" " * 400_000 + b"{}")
            case _:
                pass
        return {
            "/.well-known/openid-configuration": self._configuration,
            "/keys": self._key_set,
        }[request.path]()

    def _configuration(self) -> web.Response:
        document = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }
        return web.json_response(document | self.document)

    def _key_set(self) -> web.Response:
        published: list[Any] = [
            jwt.algorithms.RSAAlgorithm.to_jwk(KEYS[kid].public_key(), as_dict=True) | {"kid": kid}
            for kid in self.published
        ]
        return web.json_response({"keys": published})

    async def authorize(self, request: web.Request) -> web.Response:
        code = f"code-{len(self._codes)}"
        self._codes[code] = dict(request.query)
        location = f"{request.query['redirect_uri']}?code={code}&state={request.query['state']}"
        raise web.HTTPFound(location)

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self._codes.pop(str(form["code"]), None)
        if asked is None or asked["code_challenge"] != _challenge(str(form["code_verifier"])):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now_s = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "7",
            "aud": asked["client_id"],
            "nonce": asked["nonce"],
            "iat": now_s,
            "exp": now_s + 300,
            "groups": ["agents"],
        }
        key = KEYS.get(self.kid, KEYS["k1"])
        id_token = jwt.encode(claims | self.claims, key, "RS256", {"kid": self.kid})
        return web.json_response({"id_token": id_token, "token_type": "Bearer"})


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@contextlib.asynccontextmanager
async def scripted_provider() -> AsyncIterator[ScriptedProvider]:
    """Serve a scripted provider on loopback."""
    port = free_port()
    made, app = ScriptedProvider(f"http://127.0.0.1:{port}"), web.Application()
    app.router.add_get("/.well-known/openid-configuration", made.respond)
    app.router.add_get("/keys", made.respond)
    app.router.add_get("/authorize", made.authorize)
    app.router.add_post("/token", made.token)
    async with listening(app, "127.0.0.1", port):
        yield made


@contextlib.asynccontextmanager
async def mock_provider(*users: dict[str, Any], token_max_age_s: int = 3600) -> AsyncIterator[str]:
    """Run oidc-provider-mock as a process; yield its issuer."""
    port = free_port()
    command = ["-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    command += ["--token-max-age", str(token_max_age_s)]
    for user in users:
        command += ["--user-claims", json.dumps(user)]
    environment = os.environ | {"AUTHLIB_INSECURE_TRANSPORT": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, env=environment, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await _started(url)
        yield url
    finally:
        process.kill()
        await process.wait()


async def _started(url: str) -> None:
    async with asyncio.timeout(30), ClientSession() as client:
        while True:
            with contextlib.suppress(ClientError):
                async with client.get(f"{url}/.well-known/openid-configuration") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)
