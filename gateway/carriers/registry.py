"""The list of all supported carriers. Pure."""

from typing import Any, Final

from gateway.carriers.vendors.acs import Acs
from gateway.carriers.vendors.asterisk import Asterisk
from gateway.carriers.vendors.audiocodes import AudioCodes
from gateway.carriers.vendors.bandwidth import Bandwidth
from gateway.carriers.vendors.browser import Browser
from gateway.carriers.vendors.cxone import Cxone
from gateway.carriers.vendors.exotel import Exotel
from gateway.carriers.vendors.freeswitch import FreeSwitch
from gateway.carriers.vendors.genesys.carrier import Genesys
from gateway.carriers.vendors.jambonz import Jambonz
from gateway.carriers.vendors.plivo import Plivo
from gateway.carriers.vendors.ringcx import RingCx
from gateway.carriers.vendors.signalwire import SignalWire
from gateway.carriers.vendors.talkdesk import Talkdesk
from gateway.carriers.vendors.telnyx import Telnyx
from gateway.carriers.vendors.twilio import Twilio
from gateway.carriers.vendors.vonage import Vonage

# Each class is instantiated with its own `Settings`.
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
