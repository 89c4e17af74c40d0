"""Hints for operators: what to do about each reason of `errors.py`; for logs and --check."""

from typing import Final

from gateway.errors import REASONS, Fault

_BY_FAULT: Final = {
    Fault.CARRIER: "Compare the carrier's configuration with docs/carriers.md.",
    Fault.MODEL: "Check the model server's log and its GPU memory.",
    Fault.PLATFORM: "Check the endpoint's status and CloudWatch metrics in SageMaker.",
    Fault.NETWORK: "Check the network between this host and the endpoint.",
    Fault.CREDENTIALS: "Check the AWS credentials of this process.",
    Fault.OURS: "Check the settings. If they do not explain it, report it with this log line.",
}
_TABLE: Final = {
    # The carrier's requests
    "signature-missing": "The request is not signed: it is not from the carrier, or signing is "
    "disabled at the carrier.",
    "signature-invalid": "Set GATEWAY_PUBLIC_URL to the URL that the carrier calls, with its "
    "scheme, host and port, and check that the configured secret is that of the carrier's account.",
    "signature-stale": "Synchronize this host's clock (NTP).",
    "token-missing": "The media URL must contain a token, or the upgrade the carrier's secret.",
    "token-invalid": "The token is forged or expired (GATEWAY_<CARRIER>_TOKEN_TTL_S), or the "
    "gateways do not have the same secret for the carrier.",
    "keys-unavailable": "Allow this host to fetch the issuer's keys over HTTPS.",
    "not-an-upgrade": "Configure the proxy to forward the Upgrade and Connection headers with "
    "HTTP/1.1: docs/proxy.md.",
    "unknown-path": "If a carrier sent it, correct the URL at the carrier: docs/carriers.md.",
    "wrong-method": "Correct the HTTP method at the carrier: docs/carriers.md.",
    "carrier-not-open": "Set the setting in `needs`, or remove the gateway's URL at the carrier.",
    "webhook-not-open": "Set the setting in `needs`, or remove the gateway's URL at the carrier.",
    "replayed": "The same signed request was received twice: a retry, or an attack.",
    # The network to the model
    "connect-refused": "Nothing listens there: check the endpoint's address, and that it is "
    "running.",
    "connect-timeout": "Check firewalls, security groups and routes to the endpoint.",
    "host-unreachable": "Check the endpoint's host name, DNS, and routes to it.",
    "tls-untrusted": "Trust the CA that signed the endpoint's certificate "
    "(GATEWAY_SAGEMAKER_CA_FILE, or this host's CAs), or correct the host name in its URL.",
    "connection-lost": "Check whether a proxy, NAT or firewall closes connections, or whether the "
    "endpoint was restarted.",
    "send-timeout": "The endpoint reads audio too slowly: check its load and the network.",
    "throttled": "Raise the endpoint's quota or its number of instances, or lower "
    "GATEWAY_ENDPOINT_SESSIONS.",
    "model-at-capacity": "Lower GATEWAY_ENDPOINT_SESSIONS to the container's "
    "BRIDGE_MAX_SESSIONS, or add instances; at SageMaker, route by least outstanding requests.",
    "service-unavailable": "Check that the endpoint is InService and its container healthy.",
    "response-timeout": "The endpoint accepts connections but does not respond: check its load.",
    "endpoint-not-found": "Check GATEWAY_SAGEMAKER_ENDPOINT (or the routes file), its variant and "
    "AWS_REGION; for a WebSocket server, its URL.",
    "validation-error": "Check that the endpoint's container supports bidirectional streaming, and "
    "the variant's name; for a WebSocket server, the endpoint's dialect and what it asks for.",
    "no-credentials": "Provide AWS credentials to this process: an instance or task role, or "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    "credentials-expired": "Renew the AWS credentials; temporary ones must be valid for longer "
    "than a session (30 minutes). Check this host's clock.",
    "access-denied": "Allow sagemaker:InvokeEndpointWithBidirectionalStream on the endpoint for "
    "this identity; for a WebSocket server, set GATEWAY_REALTIME_API_KEY.",
    "payment-required": "The account at the vendor of the model has no credit left, or no plan for "
    "this model.",
    # The model
    "model-not-found": "Set GATEWAY_MODEL to the name under which the server serves the model.",
    "model-mismatch": "The server's model or API is not the one that the dialect is for: set the "
    "endpoint's dialect in the routes file, or GATEWAY_DIALECT. For a vLLM server whose model "
    "only sends words, that is qwen3-asr or voxtral-turns.",
    "realtime-error": "Check the model server's log, and that GATEWAY_MODEL is the name under "
    "which the server serves the model.",
    "created-timeout": "The model server accepts sessions but does not start them: it may still "
    "be loading the model, or have no free slot.",
    "session-mute": "The model receives audio but sends no deltas: it may have no free slot. Lower "
    "GATEWAY_ENDPOINT_SESSIONS, or raise the server's number of slots.",
    "session-stalled": "The model stopped sending deltas: check the model server's log.",
    "done-timeout": "The model is slower than real time: lower GATEWAY_ENDPOINT_SESSIONS or raise "
    "GATEWAY_DONE_TIMEOUT_S.",
    "finish-timeout": "The model is slower than real time, or was unavailable: check the log for "
    "failed sessions.",
    # Admission
    "endpoint-at-capacity": "Add capacity to the endpoint and raise GATEWAY_ENDPOINT_INSTANCES or "
    "GATEWAY_ENDPOINT_SESSIONS accordingly.",
    "circuit-open": "Sessions fail at the endpoint: the log lines `breaker-opened` and "
    "`upstream-failing` have the reason.",
    "route-at-capacity": "Raise the route's max_calls.",
    "no-route": "Add a route for this call to the routes file: docs/routes.md.",
    "at-capacity": "Add gateways, or raise GATEWAY_MAX_CALLS if this one has CPU to spare.",
    # Redis
    "redis-unavailable": "Check that Redis is running and that this host can connect to it.",
    "redis-refused": "Check the user, the password and the ACL in GATEWAY_REDIS_URL.",
    "spool-full": "Restore Redis, or raise GATEWAY_SPOOL_MAX_MB.",
    "spool-failed": "Check the disk and the permissions of GATEWAY_SPOOL_DIR.",
}


def hint(reason: str) -> str | None:
    """Return the hint for a reason, or the general hint for its fault; None if it is unknown."""
    info = REASONS.get(reason)
    return _TABLE.get(reason) or (_BY_FAULT[info.fault] if info else None)
