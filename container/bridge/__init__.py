"""The bridge: implements SageMaker's container contract in front of an engine's Realtime API.

    /invocations-bidirectional-stream   WebSocket, relayed to the engine's /v1/realtime
    /ping                               200 while the engine is healthy, else 503
    /metrics                            Prometheus

    app.py               routes, shared client session, admission, drain
    relay.py             one session: relays text frames both ways until it ends
    coalescing.py  PURE  combines deltas into fewer messages, for clients that ask for it
    ends.py        PURE  the ways in which a session ends
    record.py            metrics, and the log line of a session
    health.py            the engine's health, requested at most once a second
    settings.py          `BRIDGE_…`

A WebSocket has no half-close, so the bridge treats the platform's Close frame as one: the receiver
of a Close may finish its message before it replies (RFC 6455 section 5.5.1). After a final commit
the bridge relays replies until the engine's `transcription.done` and only then replies to the
Close. If the TCP connection ends without a Close, the engine's session is closed at once.
"""
