"""Carriers without authentication, for tests that do not need it."""

from gateway.carriers.vendors.twilio import Twilio


def open_twilio() -> Twilio:
    """Return Twilio without signature checks."""
    return Twilio(Twilio.Settings(_env_file=None, ignore_signatures=True))
