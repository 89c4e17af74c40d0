"""How carriers prove that a request is theirs, one file per scheme. Pure.

    file            signs                    with                 shown a second time
    twilio.py       URL, form                HMAC-SHA1            looks like the first
    signalwire.py   URL, form or body        HMAC-SHA1            looks like the first
    plivo.py        URL, form, nonce         HMAC-SHA256          has the same nonce
    telnyx.py       time, body               Ed25519              is the same, until it is stale
    jambonz.py      time, body               HMAC-SHA256          is the same, until it is stale
    vonage.py       time, id, hash of body   JWT by HMAC-SHA256   has the same id, until it is stale

Each has a `verify`, which raises CarrierError: signature-missing, signature-invalid, or
signature-stale where a time is signed; it returns what tells a request from others. Each takes one
secret or several, and compares with all of them in constant time. Secrets, headers' values and text
are as they came, URLs as the carrier was told them: what reached us through a proxy may differ.
Those that sign no URL do not tell one webhook from another. What they share is in `checks.py`.
"""
