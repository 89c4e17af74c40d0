"""An engine without a GPU: vLLM's Realtime API, exact to the token, over a small speech model.

Laptops, tests and benches use it in the place of Voxtral on vLLM; a client can't tell them apart by
the protocol, only by the words. `python -m container.cpu` serves it.

    settings.py     ENGINE_… variables
    clock.py        PURE  how many deltas so many samples give
    protocol.py     PURE  client messages and the replies of vLLM 0.32, errors included
    session.py      PURE  one connection: its queue and commit semantics
    generation.py   PURE  from a commit to `done`: deltas by the token clock
    transcriber.py  the seam between a generation and what makes text of its audio
    checksum.py     PURE  a transcriber that proves which samples arrived
    windows.py      PURE  cuts a track into stretches of speech
    agreement.py    PURE  append-only words out of successive hypotheses
    model.py        Moonshine's C library: audio in, words out, blocking
    moonshine.py    a transcriber over it: one worker thread, all tracks in turn
    slots.py        PURE  max_num_seqs
    connection.py   aiohttp: one client's socket
    server.py       aiohttp: routes, health, metrics
"""
