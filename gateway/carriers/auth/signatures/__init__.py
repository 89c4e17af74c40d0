"""Verify the signatures of carriers' requests, one file per scheme. Pure.

    file            signed                   algorithm            a replay is detected by
    twilio.py       URL, form                HMAC-SHA1            its signature
    signalwire.py   URL, form or body        HMAC-SHA1            its signature
    plivo.py        URL, form, nonce         HMAC-SHA256          its nonce
    telnyx.py       time, body               Ed25519              its signature, until it is stale
    jambonz.py      time, body               HMAC-SHA256          its signature, until it is stale
    vonage.py       time, id, hash of body   JWT by HMAC-SHA256   its id, until it is stale
    openid.py       JWT of an issuer         RS256                its digest, until it is stale

Each scheme has a `verify`, which raises CarrierError with signature-missing, signature-invalid or,
if a time is signed, signature-stale. It returns the value that identifies the request. It accepts
one secret or several, and compares with all of them in constant time. Secrets, header values and
texts are passed unchanged. URLs are those that are configured at the carrier; a request that passed
a proxy may have another one. A scheme that does not sign the URL cannot distinguish one webhook
from another. Shared functions are in `checks.py`.
"""
