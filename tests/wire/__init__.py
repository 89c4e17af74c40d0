"""Recorded dialogues, a folder per carrier, and the runner that plays them to its adapter.

A file is JSON lines. The first says where the messages come from: `{"source": ...}`. Then, in
order:

    {"in": {...}} or {"in": "text"}    a text message of the carrier's
    {"binary": "base64"}               a binary one
    {"closed": true}                   the socket closes
    {"ended": reason}                  the stream ended; the adapter may say goodbye

each followed by what the adapter makes of it, one line per event:

    {"started": {"call_id", "stream_id", "tracks": [[name, encoding, rate]], "params", ...}}
    {"audio": [track, "base64", timestamp_ms, sequence]}
    {"lost": [track, bytes, timestamp_ms, sequence]}
    {"held": track}                    a frame that waits for others
    {"dtmf": track}   {"paused": true}   {"resumed": at_ms}   {"stopped": true}   {"ignored": kind}
    {"reply": {...}}                   a message of ours, read as JSON
    {"refused": reason}                the message breaks the protocol

Ids and audio are made up; names and types are the source's.
"""
