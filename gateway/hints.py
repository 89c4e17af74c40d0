"""What an operator can do about a reason of `errors.py`; shown beside it in logs and by --check."""

from typing import Final

from gateway.errors import REASONS, Fault

_BY_FAULT: Final = {
    Fault.CARRIER: "Compare the carrier's configuration with docs/carriers.md.",
    Fault.MODEL: "Look at the model server's log and its GPU memory.",
    Fault.PLATFORM: "Look at the endpoint's status and CloudWatch metrics in SageMaker.",
    Fault.NETWORK: "Check the network between this host and the endpoint.",
    Fault.CREDENTIALS: "Check the AWS credentials of this process.",
    Fault.OURS: "Report it with this log line, unless the settings explain it.",
}
_TABLE: Final = {
    # The carrier's requests
    "signature-missing": "The request is not signed: it is not the carrier's, or signing is "
    "disabled there.",
    "signature-invalid": "GATEWAY_PUBLIC_URL must be the URL that the carrier calls, with its "
    "scheme, host and port, and the secret in the settings must be that account's.",
    "signature-stale": "Synchronize this host's clock (NTP).",
    "token-missing": "The media URL must have a token, or the upgrade the carrier's secret.",
    "token-invalid": "The token is forged or expired (GATEWAY_<CARRIER>_TOKEN_TTL_S), or the "
    "gateways do not share the carrier's secret.",
    "keys-unavailable": "Allow this host to fetch the issuer's keys over HTTPS.",
    "not-an-upgrade": "A proxy in front must pass Upgrade and Connection on over HTTP/1.1: "
    "docs/proxy.md.",
    "unknown-path": "If it is a carrier's, correct the URL there: docs/carriers.md lists them.",
    "wrong-method": "Correct the method at the carrier: docs/carriers.md has it.",
    "carrier-not-open": "Set what `needs` names, or remove the gateway's URL at the carrier.",
    "webhook-not-open": "Set what `needs` names, or remove the gateway's URL at the carrier.",
    "replayed": "The same signed request came twice: a retry, or an attack.",
    # The way to the model
    "connect-refused": "Nothing listens there: check the endpoint's address and that it runs.",
    "connect-timeout": "Check firewalls, security groups and routes to the endpoint.",
    "host-unreachable": "Check the endpoint's host name, DNS, and routes to it.",
    "tls-untrusted": "Trust the CA that signed the endpoint's certificate "
    "(GATEWAY_SAGEMAKER_CA_FILE, or this host's CAs), or correct the host name in its URL.",
    "connection-lost": "Look for a proxy, NAT or firewall that cuts connections, or for a restart "
    "of the endpoint.",
    "send-timeout": "The endpoint takes audio too slowly: check its load and the network.",
    "throttled": "Raise the endpoint's quota or instances, or lower GATEWAY_ENDPOINT_SESSIONS.",
    "service-unavailable": "Check that the endpoint is InService and its container healthy.",
    "response-timeout": "The endpoint accepts connections and does not answer: check its load.",
    "endpoint-not-found": "Check GATEWAY_SAGEMAKER_ENDPOINT (or the routes file), its variant and "
    "AWS_REGION.",
    "validation-error": "Check that the endpoint's container serves bidirectional streaming, and "
    "the variant's name.",
    "no-credentials": "Give this process AWS credentials: an instance or task role, or "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    "credentials-expired": "Renew the AWS credentials; temporary ones must outlive "
    "a session (30 minutes). Check this host's clock.",
    "access-denied": "Allow sagemaker:InvokeEndpointWithBidirectionalStream on the endpoint for "
    "this identity; for a WebSocket server, set GATEWAY_REALTIME_API_KEY.",
    # The model
    "model-not-found": "Set GATEWAY_MODEL to the name that the server serves the model under.",
    "created-timeout": "The model server accepts sessions and does not start them: it may still "
    "load the model, or be out of slots.",
    "session-mute": "The model takes audio and answers nothing: it may be out of slots. Lower "
    "GATEWAY_ENDPOINT_SESSIONS, or raise the server's slots.",
    "session-stalled": "The model stopped answering: look at the model server's log.",
    "done-timeout": "The model is slower than the calls: lower GATEWAY_ENDPOINT_SESSIONS or raise "
    "GATEWAY_DONE_TIMEOUT_S.",
    "finish-timeout": "The model is slower than the calls, or was away: see session failures.",
    # Admission
    "endpoint-at-capacity": "Raise GATEWAY_ENDPOINT_INSTANCES or GATEWAY_ENDPOINT_SESSIONS with "
    "the endpoint's real capacity.",
    "circuit-open": "The endpoint fails: see the reason in `breaker-opened` and "
    "`upstream-failing`.",
    "route-at-capacity": "Raise the route's max_calls.",
    "no-route": "Add a route for this call to the routes file: docs/routes.md.",
    "at-capacity": "Add gateways, or raise GATEWAY_MAX_CALLS if this one has CPU to spare.",
    # Redis
    "redis-unavailable": "Check that Redis runs and that this host reaches it.",
    "redis-refused": "Check the user, the password and the ACL in GATEWAY_REDIS_URL.",
    "spool-full": "Raise GATEWAY_SPOOL_MAX_MB, or bring Redis back.",
    "spool-failed": "Check the disk and the permissions of GATEWAY_SPOOL_DIR.",
}


def hint(reason: str) -> str | None:
    """Return what an operator can do about a reason: its own text, or that of its fault."""
    info = REASONS.get(reason)
    return _TABLE.get(reason) or (_BY_FAULT[info.fault] if info else None)
