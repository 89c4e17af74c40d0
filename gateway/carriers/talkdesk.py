"""Talkdesk's real-time audio streaming (Studio component "Stream audio"). Pure.

Twilio's messages, always mu-law and both tracks, with the labels the other way round: what comes
from the agent is `inbound`. Sources: docs.talkdesk.com, Real-time audio streaming; the labels are
those of AWS's Live Call Analytics, github.com/aws-samples/amazon-transcribe-live-call-analytics.
"""

from typing import Final

from gateway.carriers.dialect import Dialect

DIALECT: Final = Dialect(carrier="talkdesk", roles={"inbound": "agent", "outbound": "customer"})
