"""The interface between a session and the protocol of its server, the dialect. Pure.

A `Dialect` says what a server can do and creates a `DialectSession` for each session. That encodes
what the session sends, decodes what the server sends, and returns both as events:

    session                    dialect session       server
    stream is open             open()            ->  first messages
                               receive()         <-  any message
      Send(messages)                             ->  the next messages of the handshake
      Ready                                          audio may be sent from now on
    append(pcm)                append()          ->  audio
    cut(speech)                cut()             ->  end of a turn
      Answer(text, times)                        <-  text
    finish()                   finish()          ->  end of the audio
      Done                                       <-  the last answer was sent

All times are milliseconds of the session's audio: of all audio that `append` has encoded, without
the jumps of the media clock. `transcript/session_timeline.py` converts them to media time.

An answer with `until_ms` is final: the server has answered the audio before that time, so it is
never sent again to this session, and once its words are in a final transcript, to no other. Text
without `until_ms` is provisional: later text is added to it, or replaces it (`replaces`). At most
the text since the last final answer is provisional. Answers come in the order of their audio.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Protocol

import msgspec

from gateway.audio.encodings import Encoding

DEFAULT_APPEND_BYTES: Final = 1 << 20


class Answer(msgspec.Struct, frozen=True, gc=False):
    """Text for a stretch of the session's audio; "" if there is no word in it.

    Attributes:
        text: the text, with the white space that separates it from the text before.
        start_ms: where its speech begins.
        end_ms: where its speech ends.
        until_ms: audio before this time is answered; None if the text is provisional.
        replaces: whether it replaces the provisional text. If False, it is added to that.
        ends_segment: whether the utterance ends here.
        is_missed: whether the server received this audio and could not transcribe it; its session
            continues.
        provisional: more text, up to `end_ms`, which is provisional although `text` is final.
        language: the language that the server detected, BCP 47 (`languages.py`); only if the answer
            `replaces`, and None if the server does not report it.
        is_assumed: whether the server has not said that the text is final, nor where it ends.
    """

    text: str
    start_ms: int
    end_ms: int
    until_ms: int | None
    replaces: bool = False
    ends_segment: bool = False
    is_missed: bool = False
    provisional: str = ""
    language: str | None = None
    is_assumed: bool = False

    def __repr__(self) -> str:
        """Describe the answer without its text."""
        return f"Answer({len(self.text)} characters, {self.start_ms}-{self.end_ms} ms)"


class Send(msgspec.Struct, frozen=True):
    """Messages that the session must send, before any others."""

    messages: tuple[bytes, ...]


class Ready(msgspec.Struct, frozen=True):
    """The handshake is complete: audio may be sent.

    Attributes:
        expires_s: when the server ends the session, in Unix seconds by its clock; None if it does
            not report that.
    """

    expires_s: float | None = None


class Done(msgspec.Struct, frozen=True):
    """The server sends no more answers: after `finish`, or earlier because its session is full.

    After `finish`, provisional text becomes final, unless text is missing.

    Attributes:
        is_doubted: whether the server has shown that the times of the answers can't be trusted.
    """

    is_doubted: bool = False


type Event = Answer | Send | Ready | Done


class Speech(msgspec.Struct, frozen=True):
    """The stretch of a turn, in the session's audio, that is loud enough to be speech."""

    start_ms: int
    end_ms: int


class Clock(Enum):
    """What a server answers, and so, what is due."""

    AUDIO = auto()  # all audio, words or not, while it arrives
    SPEECH = auto()  # words while they arrive, with times; nothing for silence
    TURNS = auto()  # each turn that the gateway has cut


@dataclass(frozen=True, slots=True)
class Options:
    """What a session asks of its server. A dialect refuses at startup what it can't send.

    Attributes:
        model: the name under which the model is served.
        language: a language hint, BCP 47; None lets the server decide.
        keywords: words that the model should expect.
        delay_ms: the delay between audio and text, if the server lets the client choose it.
        encoding: what the audio is sent in. PCMU and PCMA, at 8 kHz, only if `Capabilities` has
            them and the track came so; otherwise PCM16.
    """

    model: str
    language: str | None = None
    keywords: tuple[str, ...] = ()
    delay_ms: int | None = None
    encoding: Encoding = Encoding.L16LE


@dataclass(frozen=True, slots=True)
class Address:
    """What a dialect adds to the address of its server.

    Attributes:
        path: appended to the URL if that has no path; on SageMaker, the path in the container.
        query: added to the query.
        headers: added to the request; only for WebSockets. They may contain the API key.
    """

    path: str = ""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server and its model can do.

    Attributes:
        language: whether a language hint can be sent.
        keywords: whether keywords can be sent.
        delay: whether the delay can be chosen.
        encodings: which encodings of G.711, at 8 kHz, the server accepts.
        clock: what the server answers.
        answers_noise: for `SPEECH`, whether loud audio without words is answered, too.
        longest_turn_ms: for `TURNS`, the longest turn that the server accepts or answers well.
        delay_ms: how much of what is due a healthy server may leave unanswered.
        unit_bytes: size of the units into which the server divides the audio (PCM16, 16 kHz). A
            jump of the media clock must be between two units.
        largest_append_bytes: the most audio that the server accepts in one message.
        is_audio_binary: whether audio is sent in binary messages; all others are text.
        longest_session_s: after this time the server ends a session; None: never.
        idle_s: a session without audio for this long may be ended by the server; None: never.
        keep_alive_s: after this time without audio, `keep_alive` must be called; None: never.
    """

    language: bool = False
    keywords: bool = False
    delay: bool = False
    encodings: Set[Encoding] = frozenset()
    clock: Clock = Clock.AUDIO
    answers_noise: bool = False
    longest_turn_ms: int = 15_000
    delay_ms: int = 0
    unit_bytes: int = 2
    largest_append_bytes: int = DEFAULT_APPEND_BYTES
    is_audio_binary: bool = False
    longest_session_s: float | None = None
    idle_s: float | None = None
    keep_alive_s: float | None = None


class DialectSession(Protocol):
    """The protocol's state in one session. No method waits or does I/O."""

    @property
    def accepts_audio(self) -> bool:
        """Whether `append` may be called now.

        A server that answers one turn at a time accepts no audio from the end of a turn until its
        answer.
        """

    def open(self) -> Iterable[Event]:
        """Begin: the stream is open."""

    def append(self, pcm: bytes) -> bytes:
        """Encode audio: PCM16 little-endian, 16 kHz, mono; a whole number of samples, not zero.

        If it is sent as G.711, it is audio of a track that came so (`resampler.Original`).

        Returns:
            The message; b"" if the audio is sent with the next one.
        """

    def cut(self, speech: Speech) -> Iterable[Event]:
        """End a turn, which consists of all audio since the turn before.

        With `TURNS`, its final answer has the times of `speech`, and `until_ms` is the end of the
        turn. With `SPEECH`, it is called in a pause, once a second, while the text of `speech`
        stays provisional; a dialect whose server makes text final does nothing.
        """

    def keep_alive(self) -> Iterable[Event]:
        """Keep a session without audio open; see `Capabilities.keep_alive_s`."""

    def finish(self) -> Iterable[Event]:
        """End the audio; with `TURNS`, no turn is open. `Done` follows, here or in `receive`."""

    def receive(self, message: bytes) -> Iterable[Event]:
        """Decode one message. The events may be decoded as they are consumed.

        Raises:
            UpstreamError: an error that the server reports, or a message that breaks the protocol.
        """


class Dialect(Protocol):
    """One kind of server."""

    @property
    def capabilities(self) -> Capabilities:
        """What the server can do."""

    def address(self, options: Options, api_key: str | None) -> Address:
        """Return what is to be added to the address of the server."""

    def session(self, options: Options) -> DialectSession:
        """Return the state of a new session."""
