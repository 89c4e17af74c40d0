"""Recordings of carriers' messages, one folder per carrier, and their player.

A file is JSON lines. The first line names the source of the messages: `{"source": ...}`. The other
lines are, in order:

    {"in": {...}} or {"in": "text"}    a text message from the carrier
    {"binary": "base64"}               a binary message from the carrier
    {"closed": true}                   the socket closes
    {"ended": reason}                  the stream ends; the adapter may send closing messages

Each is followed by the events that the adapter has to produce, one per line:

    {"started": {"call_id", "stream_id", "tracks": [[name, encoding, rate]], "params", ...}}
    {"audio": [track, "base64", timestamp_ms, sequence]}
    {"lost": [track, bytes, timestamp_ms, sequence]}
    {"held": track}                    a frame is held until others arrive
    {"dtmf": track}   {"paused": true}   {"resumed": at_ms}   {"stopped": true}   {"ignored": kind}
    {"reply": {...}}                   a message to the carrier, parsed as JSON
    {"refused": reason}                the message violates the protocol

Ids and audio are invented; names and types are those of the source.
"""
