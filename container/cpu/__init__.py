"""An engine without a GPU: vLLM's Realtime API, exact to the token, over a small speech model.

Laptops, tests and benchmarks use it instead of Voxtral on vLLM. The protocol is the same; only the
words differ. `python -m container.cpu` serves it.

    settings.py     ENGINE_… variables
    clock.py        PURE  how many deltas are due for a number of samples
    protocol.py     PURE  client messages and the replies of vLLM 0.32, errors included
    session.py      PURE  one connection: its queue and the meaning of commits
    deepgram.py     PURE  one connection of Deepgram's API instead
    mistral.py      PURE  one connection in Mistral's protocol
    mistral_text.py PURE  its messages with text
    generation.py   PURE  from a commit to `done`: deltas by the token clock
    conversion.py   PURE  audio in the formats of the other protocols
    transcriber.py  PURE  the interface between a generation and what transcribes its audio
    checksum.py     PURE  a transcriber that proves which samples arrived
    windows.py      PURE  cuts a track into windows of speech
    agreement.py    PURE  turns successive hypotheses into append-only words
    model.py        Moonshine's C library: audio in, words out, blocking
    moonshine.py    a transcriber that uses it: one worker thread serves all tracks in turn
    slots.py        PURE  limits how many generations run at once (max_num_seqs)
    connection.py   aiohttp: one client's WebSocket
    server.py       aiohttp: routes, health, metrics
"""
