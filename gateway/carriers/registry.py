"""All carriers: one line each. Pure."""

from typing import Final

from gateway.carriers.twilio import Twilio

# Each is made of its own `Settings`.
CARRIERS: Final = (Twilio,)
