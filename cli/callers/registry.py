"""All carriers that `./run call` can play, by name."""

from collections.abc import Callable, Mapping
from typing import Final

from cli.callers.acs import Acs
from cli.callers.asterisk import Asterisk
from cli.callers.audiocodes import AudioCodes
from cli.callers.bandwidth import Bandwidth
from cli.callers.browser import Browser
from cli.callers.caller import Caller
from cli.callers.cxone import Cxone
from cli.callers.exotel import Exotel
from cli.callers.freeswitch import FreeSwitch
from cli.callers.genesys import Genesys
from cli.callers.jambonz import Jambonz
from cli.callers.plivo import Plivo
from cli.callers.ringcx import RingCx
from cli.callers.signalwire import SignalWire
from cli.callers.talkdesk import Talkdesk
from cli.callers.telnyx import Telnyx
from cli.callers.twilio import Twilio
from cli.callers.vonage import Vonage

# Each is constructed from the gateway's environment variables.
CALLERS: Final[Mapping[str, Callable[[Mapping[str, str]], Caller]]] = {
    each.name: each
    for each in (
        Twilio,
        Telnyx,
        SignalWire,
        Plivo,
        Vonage,
        Genesys,
        Talkdesk,
        Jambonz,
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
}
