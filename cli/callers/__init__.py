"""The carriers' side of a call: each plays it as its carrier does, signed, in real time.

    file          what it is
    caller.py     what a carrier's file says: its webhook, its sockets, what is said on them
    call.py       a call to place, and how far it came
    gateway.py    where calls go
    driver.py     places a call: all the I/O, and no carrier's word
    registry.py   all callers, by name
    <carrier>.py  one carrier: pure but for ids and nonces, which are random

    forms.py, credentials.py, json_media.py, json_texts.py, binary_media.py, answered.py and
    frames.py are what several of them share.

A call's tracks are mu-law at 8 kHz: `inbound` is the customer, `outbound` the agent. A caller
converts, names and joins them as its carrier does. Whom the gateway believes is proved with the
gateway's own signing functions, and the credentials that it is configured with.
"""
