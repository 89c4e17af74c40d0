"""Rules about audio, deltas and capacity. Source: measured on vLLM 0.32.0."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from cli.conform.dialogue import Dialogue, expect
from cli.conform.rule import LONG_S, Rule, Server

_SAMPLES: Final = (1, 8999, 9000, 9001, 16_000, 32_000)  # around the first delta at 480 ms
_SECOND: Final = bytes(32_000)
_LONGEST_CONTEXT: Final = 4096  # tokens: filling more takes more than 5 minutes of audio
_EMPTY: Final[list[str]] = []


def _usage(server: Server, deltas: int) -> dict[str, Any]:
    prompt_tokens = server.clock.prompt_tokens if deltas else 0
    return {
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + deltas,
        "completion_tokens": deltas,
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }


async def _expect_whole(server: Server, dialogue: Dialogue, seconds: int, live: int = 0) -> None:
    """Receive the rest of a generation, after `live` deltas of it."""
    deltas, _ = await dialogue.until_done()
    expect(live + len(deltas), server.clock.total(seconds * 16_000), "number of deltas")


def _token_clock(samples: int) -> Callable[[Server], Awaitable[None]]:
    async def check(server: Server) -> None:
        live, total = server.clock.live(samples), server.clock.total(samples)
        async with server.validated() as dialogue:
            await dialogue.commit()
            await dialogue.append(bytes(2 * samples))
            before = await dialogue.deltas(live)
            await dialogue.nothing_is_pending()
            await dialogue.commit(final=True)
            after, done = await dialogue.until_done()
        expect(live + len(after), total, "number of deltas")
        expect(done.get("usage"), _usage(server, total), "usage")
        expect(done.get("text"), "".join(before + after), "text")

    return check


async def _no_audio(server: Server) -> None:
    async with server.validated() as dialogue:
        await dialogue.commit()
        await dialogue.commit(final=True)
        deltas, done = await dialogue.until_done()
    expect((deltas, done.get("text")), (_EMPTY, ""), "deltas and text")
    expect(done.get("usage"), _usage(server, 0), "usage")


async def _early_audio(server: Server) -> None:
    async with server.open() as dialogue:
        await dialogue.append(_SECOND)
        await dialogue.update(server.model)
        await dialogue.commit()
        await dialogue.commit(final=True)
        await _expect_whole(server, dialogue, 1)


async def _second_commit(server: Server) -> None:
    async with server.validated() as dialogue:
        await dialogue.commit()
        await dialogue.commit()
        await dialogue.append(_SECOND)
        await dialogue.commit(final=True)
        await _expect_whole(server, dialogue, 1)
        await dialogue.nothing_is_pending()


async def _next_utterance(server: Server) -> None:
    async with server.validated() as dialogue:
        for _ in range(2):
            await dialogue.commit()
            await dialogue.append(_SECOND)
            await dialogue.commit(final=True)
            await _expect_whole(server, dialogue, 1)
            await dialogue.append(_SECOND)
            await dialogue.nothing_is_pending()
            await dialogue.commit()
            await dialogue.commit(final=True)
            await _expect_whole(server, dialogue, 1)


async def _early_final(server: Server) -> None:
    async with server.validated() as dialogue:
        await dialogue.commit(final=True)
        await dialogue.nothing_is_pending()
        await dialogue.commit()
        deltas, done = await dialogue.until_done()
    expect((deltas, done.get("text")), (_EMPTY, ""), "deltas and text")


async def _discarded(server: Server) -> None:
    """Queue audio behind a final commit before a generation starts, so that no timing matters."""
    async with server.validated() as dialogue:
        await dialogue.append(_SECOND)
        await dialogue.commit(final=True)
        await dialogue.append(_SECOND)
        await dialogue.commit()
        await _expect_whole(server, dialogue, 1)
        await dialogue.commit()
        await dialogue.commit(final=True)
        deltas, _ = await dialogue.until_done()
    expect(deltas, _EMPTY, "deltas of the discarded audio")


async def _invalid_chunk(server: Server) -> None:
    live = server.clock.live(16_000)
    async with server.validated() as dialogue:
        await dialogue.commit()
        await dialogue.append(_SECOND)
        await dialogue.deltas(live)
        await dialogue.append(b"\x00")
        await dialogue.error("invalid_audio")
        await dialogue.commit(final=True)
        await _expect_whole(server, dialogue, 1, live)


async def _full_context(server: Server) -> None:
    room = (server.max_model_len or 0) - server.clock.prompt_tokens
    seconds = server.clock.samples_for(room) // 16_000 + 2
    async with server.validated() as dialogue:
        await dialogue.commit()
        for _ in range(seconds):
            await dialogue.append(_SECOND)
        deltas, _ = await dialogue.until_done()
    expect(len(deltas), room, "number of deltas")


async def _above_max_num_seqs(server: Server) -> None:
    async with AsyncExitStack() as stack:
        holding = [await _started(server, stack) for _ in range(server.max_num_seqs or 0)]
        for dialogue in holding:
            await dialogue.deltas(server.clock.live(16_000))
        waiting = await _started(server, stack)
        await waiting.commit(final=True)
        await waiting.nothing_is_pending()
        await holding[0].commit(final=True)
        await holding[0].until_done()
        await _expect_whole(server, waiting, 1)


async def _disconnect(server: Server) -> None:
    async with AsyncExitStack() as outer:
        async with AsyncExitStack() as inner:
            for _ in range(server.max_num_seqs or 0):
                dialogue = await _started(server, inner)
                await dialogue.deltas(server.clock.live(16_000))
            waiting = await _started(server, outer)
            await waiting.nothing_is_pending()
        await waiting.deltas(server.clock.live(16_000))


async def _started(server: Server, stack: AsyncExitStack) -> Dialogue:
    dialogue = await stack.enter_async_context(server.validated())
    await dialogue.commit()
    await dialogue.append(_SECOND)
    return dialogue


def _lacks_seqs(server: Server) -> str:
    return "" if server.max_num_seqs else "needs --max-num-seqs"


def _lacks_context(server: Server) -> str:
    if server.max_model_len is None:
        return "needs --max-model-len"
    return "" if server.max_model_len <= _LONGEST_CONTEXT else f"is above {_LONGEST_CONTEXT} tokens"


GENERATIONS: Final = (
    Rule("a generation without audio is empty, with a usage of 0", _no_audio),
    *(
        Rule(
            f"{samples} samples: number of deltas, usage and text",
            _token_clock(samples),
        )
        for samples in _SAMPLES
    ),
    Rule("audio before the update and the commit is kept", _early_audio),
    Rule("a commit during a generation is ignored", _second_commit),
    Rule("after done, the next utterance needs a commit", _next_utterance),
    Rule("a final commit while idle ends the next generation", _early_final),
    Rule("what is queued when done is sent is discarded", _discarded),
    Rule("an invalid chunk is dropped, and the generation continues", _invalid_chunk),
    Rule(
        "a full context ends with a done that was not asked for",
        _full_context,
        _lacks_context,
        LONG_S,
    ),
    Rule("a session above max_num_seqs waits without an error", _above_max_num_seqs, _lacks_seqs),
    Rule("a disconnected session releases its slot", _disconnect, _lacks_seqs),
)
