"""Plays calls as the carriers do: with their signatures and messages, in real time.

    call.py         a call to place, and its progress
    caller.py       the interface that each carrier implements
    gateway.py      the gateway's address and public name
    driver.py       places a call: all of the I/O, and nothing that is specific to a carrier
    registry.py     all carriers by name
    <carrier>.py    one carrier, without I/O; only ids and nonces are random

    dialogues.py    shared by carriers: sockets with JSON messages or binary audio
    messages.py     shared by carriers: forms, JSON, answers of webhooks
    credentials.py  shared by carriers: secrets and tokens in headers and URLs
    frames.py       shared by carriers: frames of 20 ms and their encodings

A call's tracks are mu-law at 8 kHz: `inbound` is the customer, `outbound` the agent. A carrier's
module converts, names and interleaves them as the carrier does. Requests are signed by the
gateway's own signing functions, with the credentials that the gateway is configured with.
"""
