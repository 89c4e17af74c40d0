"""The gateway: phone calls' audio in, transcript events out.

One call, walked:

 1. `ingress/carriers.py` answers the carrier's webhook with the document that starts the fork, and
    has the media socket checked before it is upgraded: how, the carrier's own file says
    (`carriers/twilio.py`; all are in `carriers/registry.py`).
 2. `ingress/media.py` reads the socket and feeds a `CallStream` (`calls/stream.py`), admitted by
    `calls/registry.py` (this gateway's limit) and `calls/admission.py`: by the routes (`routes.py`)
    it gets a ticket (`calls/ticket.py`), which holds places at endpoints that all gateways share
    (`calls/capacity.py`).
 3. The carrier's adapter (`carriers/adapter.py`) turns its messages into `carriers/events.py`; many
    carriers share one, with a table of their names for things (`carriers/json_media.py`).
 4. Each track (`calls/track.py`) has an audio path (`audio/pipeline.py`): media clock, G.711
    decoding, interpolation to 16 kHz, chunks of 80 ms, kept in `calls/ring.py` while they may be
    needed again.
 5. `calls/sessions.py` keeps a session open for it, one after another; each (`calls/hearing.py`,
    `upstream/session.py`) speaks the Realtime protocol (`upstream/realtime.py`) over a transport
    (`upstream/transport.py`: `sagemaker.py` or `websocket.py`).
 6. The model's deltas come back; `transcript/token_clock.py` places them on the media clock and
    `transcript/segmenter.py` makes `transcript/events.py` of them.
 7. `transcript/publisher.py` writes all calls' events to Redis in batches (`append.lua`); while
    Redis is away they wait in memory, then in `transcript/spool.py`.
 8. At the hang-up the track sends what is left, commits, waits for the model's `done`; then the
    stream's last event, `stream.ended`, is published and its one log line written.

Operators look in through `ingress/admin_api.py`; `readiness.py` collects what `/readyz` reports,
of Redis `transcript/health.py` and `transcript/eviction.py` know. At the end of the process
`calls/registry.py` refuses new calls and lets the live ones go on for a while.

`app.py` builds the parts from `settings.py`, and `check.py` tries them before the first call.
`errors.py` names every way to fail, `hints.py` what to do about it, `metrics.py` every number that
Prometheus sees. `process/` is what all processes of the house do alike.
"""
