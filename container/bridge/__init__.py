"""SageMaker's container contract in front of an engine's Realtime API.

    /invocations-bidirectional-stream   WebSocket, relayed to the engine's /v1/realtime
    /ping                               200 while the engine is healthy, else 503
    /metrics                            Prometheus

    relay.py     one session: text frames both ways, and its end
    app.py       routes, shared client session, metrics
    health.py    the engine's health, asked for once a second at most
    settings.py  `BRIDGE_…`

A WebSocket has no half-close, so the platform's Close frame is taken for one: whoever receives a
Close may finish what it is saying first (RFC 6455 section 5.5.1). After a final commit the replies
are relayed until the engine's `transcription.done`, and only then is the Close answered. A TCP end
without a Close leaves nobody to answer; it ends the engine's session at once.
"""
