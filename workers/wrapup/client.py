"""Sends requests to the model's server: anything with OpenAI's chat completions.

Replies are streamed, so that a server that hangs is distinguished from one that is slow, and a
reply that grows without end is stopped. Nothing of a request, a reply or an error of the server is
logged: both contain what was said.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2
import openai
from httpx2 import AsyncByteStream
from openai.types.chat import ChatCompletionChunk

from workers.wrapup.drafting import estimated_tokens
from workers.wrapup.failures import ModelError, Reason
from workers.wrapup.model import Reply
from workers.wrapup.prompts import Request
from workers.wrapup.settings import Format, Settings

_CHARACTERS_PER_TOKEN: Final = 8  # more than any text has; a reply beyond the limit is too long
_BYTES_PER_CHARACTER: Final = 256  # of the stream: each token is a message of some hundred bytes
_MAX_RETRY_AFTER_S: Final = 3600.0
_NO_KEY: Final = "none"  # for servers without keys; the package insists on one
_STATUS: Final = {
    401: Reason.UNAUTHORIZED,
    403: Reason.UNAUTHORIZED,
    404: Reason.NOT_FOUND,
    408: Reason.TIMEOUT,
    429: Reason.THROTTLED,
}


class _BoundedStream(AsyncByteStream):
    """The bytes of a response, up to a limit."""

    def __init__(self, stream: AsyncByteStream, limit: int) -> None:
        self._stream = stream
        self._left = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for block in self._stream:
            self._left -= len(block)
            if self._left < 0:
                raise ModelError(Reason.TOO_LONG)
            yield block

    async def aclose(self) -> None:
        await self._stream.aclose()


class _BoundedClient(httpx2.AsyncClient):
    """A client whose responses are bounded, and neither compressed nor redirected."""

    def __init__(self, limit: int, timeout: httpx2.Timeout) -> None:
        super().__init__(timeout=timeout, follow_redirects=False)
        self._limit = limit

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:  # noqa: ANN401 - as the base
        request.headers["Accept-Encoding"] = "identity"
        response = await super().send(request, **options)
        stream = response.stream
        if response.headers.get("Content-Encoding", "identity") != "identity" or not isinstance(
            stream, AsyncByteStream
        ):
            await response.aclose()
            raise ModelError(Reason.SERVER_ERROR)
        response.stream = _BoundedStream(stream, self._limit)
        return response


class Client:
    """Implements `Model` with the server of the settings.

    Args:
        settings: with a URL and a model.
    """

    def __init__(self, settings: Settings) -> None:
        for name in ("openai", "httpx2", "httpcore2"):  # they log URLs, and contents at DEBUG
            logging.getLogger(name).setLevel(logging.WARNING)
        self._settings = settings
        self._max_characters = settings.answer_tokens * _CHARACTERS_PER_TOKEN
        timeout = httpx2.Timeout(settings.idle_s, connect=settings.connect_s)
        self._http = _BoundedClient(self._max_characters * _BYTES_PER_CHARACTER, timeout)
        self._client = openai.AsyncOpenAI(
            api_key=settings.key.get_secret_value() if settings.key else _NO_KEY,
            base_url=settings.url,
            max_retries=0,  # repetitions have a budget: jobs.py
            timeout=timeout,
            http_client=self._http,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def complete(self, request: Request) -> Reply:
        """Return the model's reply; see `Model`."""
        prompt_tokens = estimated_tokens(request.system + request.user)
        reply = _Collected(prompt_tokens, self._max_characters)
        try:
            async with asyncio.timeout(self._settings.request_s):
                await self._collect(request, reply)
        except ModelError as error:
            error.tokens = error.tokens or reply.tokens
            raise
        except (TimeoutError, openai.APITimeoutError):
            raise ModelError(Reason.TIMEOUT, tokens=reply.tokens) from None
        except openai.APIStatusError as error:
            raise _refused(error) from None
        except openai.APIConnectionError:
            reason = Reason.CUT if reply.has_begun else Reason.UNREACHABLE
            raise ModelError(reason, tokens=reply.tokens) from None
        except openai.APIError:  # a message of the stream
            raise ModelError(Reason.SERVER_ERROR, tokens=reply.tokens) from None
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            # The package checks neither the form of messages nor their encoding.
            raise ModelError(Reason.MALFORMED, tokens=reply.tokens) from None
        return reply.finish()

    async def _collect(self, request: Request, reply: "_Collected") -> None:
        create: Any = self._client.chat.completions.create  # its overloads exclude dynamic options
        stream = await create(**self._options(request))
        async with contextlib.aclosing(stream.response):
            reply.has_begun = True
            async for chunk in stream:
                reply.add(chunk)

    def _options(self, request: Request) -> dict[str, Any]:
        settings = self._settings
        options: dict[str, Any] = {
            "model": settings.model,
            "messages": [
                {"role": "system", "content": request.system},
                {"role": "user", "content": request.user},
            ],
            "response_format": _response_format(request, settings.format),
            settings.limit_name.value: settings.answer_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if settings.temperature is not None:
            options["temperature"] = settings.temperature
        return options


class _Collected:
    """A reply as far as it has arrived."""

    def __init__(self, prompt_tokens: int, max_characters: int) -> None:
        self.has_begun = False
        self._parts: list[str] = []
        self._left = max_characters
        self._is_refused = False
        self._finish: str | None = None
        self._prompt_tokens = prompt_tokens
        self._completion_tokens = 0

    @property
    def tokens(self) -> int:
        """Tokens used so far; none if the server has not begun to reply."""
        if not self.has_begun:
            return 0
        return self._prompt_tokens + (
            self._completion_tokens or estimated_tokens("".join(self._parts))
        )

    def add(self, chunk: ChatCompletionChunk) -> None:
        """Add a message of the stream.

        Raises:
            ModelError: the reply is too long.
        """
        if usage := chunk.usage:
            self._prompt_tokens = max(0, int(usage.prompt_tokens))
            self._completion_tokens = max(0, int(usage.completion_tokens))
        for choice in chunk.choices or ():
            if choice.delta is not None:
                self._add_text(choice.delta.content)
                self._is_refused |= bool(choice.delta.refusal)
            self._finish = choice.finish_reason or self._finish

    def _add_text(self, text: str | None) -> None:
        if text is None:
            return
        if not isinstance(text, str):
            raise TypeError
        self._parts.append(text)
        self._left -= len(text) or 1  # so that the number of parts is bounded, too
        if self._left < 0:
            raise ModelError(Reason.TOO_LONG)

    def finish(self) -> Reply:
        """Return the whole reply.

        Raises:
            ModelError: it is not complete, or the model refused.
        """
        if self._is_refused or self._finish == "content_filter":
            raise ModelError(Reason.REFUSED, tokens=self.tokens)
        if self._finish == "length":
            raise ModelError(Reason.TOO_LONG, tokens=self.tokens)
        if self._finish is None:
            raise ModelError(Reason.CUT, tokens=self.tokens)
        text = "".join(self._parts)
        return Reply(text, self._prompt_tokens, self._completion_tokens or estimated_tokens(text))


def _response_format(request: Request, wanted: Format) -> dict[str, Any]:
    if wanted is Format.JSON_OBJECT:
        return {"type": "json_object"}
    schema = {"name": request.name, "strict": True, "schema": request.schema}
    return {"type": "json_schema", "json_schema": schema}


def _refused(error: openai.APIStatusError) -> ModelError:
    status = error.status_code
    if status >= 500:
        return ModelError(Reason.SERVER_ERROR, _retry_after_s(error.response))
    if status in _STATUS:
        return ModelError(_STATUS[status], _retry_after_s(error.response))
    said = f"{error.code} {error.type} {error.message}".casefold()
    # No field is common to all servers: they say "context length", "context size" or "context
    # window".
    return ModelError(Reason.CONTEXT_EXCEEDED if "context" in said else Reason.BAD_REQUEST)


def _retry_after_s(response: httpx2.Response) -> float:
    """Return for how long the server asks not to be called; a date is ignored."""
    try:
        seconds = float(response.headers.get("Retry-After", "0"))
    except ValueError:
        return 0.0
    return min(seconds, _MAX_RETRY_AFTER_S) if seconds > 0 else 0.0  # NaN is not
