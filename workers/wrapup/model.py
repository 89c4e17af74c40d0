"""What the worker needs of a model. Pure; `client` implements it."""

from typing import NamedTuple, Protocol

from workers.wrapup.prompts import Request


class Reply(NamedTuple):
    """A reply of the model.

    Attributes:
        text: the reply.
        prompt_tokens: of the request, as reported, else estimated.
        completion_tokens: of the reply, likewise.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int


class Model(Protocol):
    """Replies to requests."""

    async def complete(self, request: Request) -> Reply:
        """Return the model's reply.

        Raises:
            ModelError: there is none, or it is not complete.
        """
