"""All carriers: one line each. Pure."""

from typing import Any, Final

from gateway.carriers.acs import Acs
from gateway.carriers.asterisk import Asterisk
from gateway.carriers.audiocodes import AudioCodes
from gateway.carriers.bandwidth import Bandwidth
from gateway.carriers.browser import Browser
from gateway.carriers.cxone import Cxone
from gateway.carriers.exotel import Exotel
from gateway.carriers.freeswitch import FreeSwitch
from gateway.carriers.genesys import Genesys
from gateway.carriers.jambonz import Jambonz
from gateway.carriers.plivo import Plivo
from gateway.carriers.ringcx import RingCx
from gateway.carriers.signalwire import SignalWire
from gateway.carriers.talkdesk import Talkdesk
from gateway.carriers.telnyx import Telnyx
from gateway.carriers.twilio import Twilio
from gateway.carriers.vonage import Vonage

# Each is made of its own `Settings`.
CARRIERS: Final[tuple[Any, ...]] = (
    Twilio,
    Telnyx,
    SignalWire,
    Plivo,
    Talkdesk,
    Genesys,
    Jambonz,
    Vonage,
    FreeSwitch,
    Asterisk,
    Browser,
    Bandwidth,
    Exotel,
    RingCx,
    Acs,
    AudioCodes,
    Cxone,
)
