"""What operators are told of a track whose payload does not fit its encoding."""

import structlog

from gateway.audio.encodings import Encoding, TrackFormat
from gateway.metrics import Metrics

_log = structlog.get_logger()


def report_mismatch(carrier: str, form: TrackFormat, found: Encoding, metrics: Metrics) -> None:
    """Log and count that a track's payload is in another encoding than it is decoded in."""
    metrics.codec_mismatches_total.labels(carrier, form.encoding, found).inc()
    _log.warning(
        "codec-mismatch",
        carrier=carrier,
        track=form.track,
        announced=form.encoding,
        found=found,
        set=f'GATEWAY_{carrier.upper()}_ENCODING={found}, or encoding = "{found}" of its route',
    )
