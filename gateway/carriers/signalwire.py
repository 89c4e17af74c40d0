"""SignalWire's cXML and SWML streams. Pure.

Twilio's messages, of which fields are left out: no `streamSid` but in the start's body, no `stop`
object, no track of a key. Beside mu-law it has L16 at 16 and 24 kHz (`codec="L16@16000h"`), whose
byte order its page does not tell. Source: developer.signalwire.com, cXML `<Stream>`.
"""

from typing import Final

from gateway.carriers.dialect import Dialect

DIALECT: Final = Dialect(carrier="signalwire")
