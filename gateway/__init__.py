"""The gateway: call audio in, transcript events out.

The way of one call:

 1. Webhook. `ingress/carriers.py` receives it, the carrier authenticates and answers it
    (`carriers/vendors/twilio.py`; `carriers/registry.py` lists all carriers).
 2. Upgrade. `ingress/media.py` authenticates the media socket, then `admission/admission.py`
    chooses the route (`routes.py`) and reserves a session slot per track (`reservation.py`).
 3. Frames. The carrier's adapter (`carriers/adapter.py`) turns each message into an event of
    `carriers/events.py`. Carriers with a common protocol share an adapter (`carriers/protocols/`).
 4. Audio. `calls/stream.py` passes audio to its track (`calls/track.py`). `audio/pipeline.py` puts
    it on the media clock, decodes and resamples it, and cuts it into chunks of 80 ms.
 5. Upstream. `calls/sessions.py` keeps one model session per track open (`calls/model_session.py`).
    `upstream/session.py` speaks the Realtime protocol (`realtime.py`) over a transport: SageMaker
    (`upstream/sagemaker/`) or a WebSocket (`upstream/websocket.py`).
 6. Words. Each delta of the model comes back to the track. `transcript/token_clock.py` gives it
    its time, `transcript/segmenter.py` makes transcript events (`transcript/events.py`) of it.
 7. Publishing. `publishing/publisher.py` writes the events of all calls to Redis in batches
    (`append.lua`). While Redis is unavailable they wait in memory, then in `publishing/spool/`.
 8. Hang-up. The track sends its last audio, commits and waits for the pending words. Then
    `calls/stream_reporter.py` publishes `stream.ended` and writes the stream's log line.

What is around it: `app.py` builds all parts from `settings.py`; `check.py` tries a configuration
without serving; `readiness.py` answers `/readyz`; `ingress/admin_api.py` lists and ends live calls;
`errors.py` lists every failure, `hints.py` what to do about each, `metrics.py` every metric.
Modules whose docstring says "Pure." do no I/O; `./run check` enforces it.
"""
