"""The gateway: call audio in, transcript events out.

The path of one call:

 1. Webhook. `ingress/carriers.py` receives it. The carrier authenticates it and builds the answer
    (`carriers/vendors/twilio.py`; `carriers/registry.py` lists all carriers).
 2. Upgrade. `ingress/carriers.py` lets the carrier authenticate the media socket. Then
    `ingress/media.py` rejects replays (`ingress/replay_guard.py`), and `admission/admission.py`
    chooses the route (`admission/routes.py`) and reserves a session slot per track
    (`admission/reservation.py`), before the upgrade if the route is known.
 3. Frames. `ingress/media.py` reads the socket and passes each message to `calls/stream.py`, whose
    adapter turns it into events (`carriers/events.py`). The adapter's interface is
    `carriers/adapter.py`; Twilio and many others share `carriers/protocols/json_media.py`.
 4. Audio. The stream passes audio to its track (`calls/track.py`). `calls/track_audio.py` and
    `audio/pipeline.py` place it on the media clock, decode and resample it, and cut it into
    chunks of 80 ms.
 5. Upstream. The track buffers each chunk (`calls/replay_buffer.py`) and sends it to the session
    that `calls/sessions.py` keeps open (`calls/model_session.py`). `upstream/session.py` speaks the
    server's dialect (`upstream/dialects/`) over a transport: SageMaker (`upstream/sagemaker/`) or a
    WebSocket (`upstream/websocket.py`).
 6. Words. The dialect turns messages into answers: text, with its time in the session's audio.
    `calls/placed_answers.py` places each on the media clock (`transcript/session_timeline.py`). The
    track passes it to `transcript/segmenter.py`, which turns it into transcript events
    (`transcript/events.py`).
 7. Publishing. `publishing/publisher.py` writes the events of all calls to Redis in batches
    (`publishing/append.lua`). While Redis is unavailable they wait in memory
    (`publishing/outbox.py`), then on disk (`publishing/spool/`).
 8. Hang-up. The track sends its last audio and the final commit, and waits for the pending words.
    Then `calls/stream_reporter.py` publishes `stream.ended` and writes the stream's log line.

Supporting modules: `app.py` builds all parts from `settings.py`; `check.py` tries a configuration
without serving; `readiness.py` answers `/readyz`; `ingress/admin_api.py` lists and ends live calls;
`errors.py` lists every failure, `hints.py` what to do about each, `metrics.py` every metric;
`tracing.py` sends traces, if OpenTelemetry is configured.
Modules whose docstring says "Pure." do no I/O; `./run check` enforces it.
"""
