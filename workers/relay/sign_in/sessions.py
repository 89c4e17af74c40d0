"""Signs and verifies sessions, which browsers keep in a cookie. Pure."""

from dataclasses import replace
from typing import Final

from workers.relay.sign_in.tokens import Keyring, Kind
from workers.relay.sign_in.viewer import Viewer

# Browsers accept names with this prefix only for one host, from a secure origin, with Secure and
# Path=/. To Chromium 156, http://localhost and http://127.0.0.1 are secure origins.
COOKIE: Final = "__Host-callscribe"


def begin(viewer: Viewer, *, session_id: str, session_s: int, now_s: float) -> Viewer:
    """Return the viewer of a new session, which ends no later than the link that it comes from.

    Args:
        viewer: whom a link or an OpenID provider admits.
        session_id: a random id.
        session_s: how long a session lasts at most, in seconds.
        now_s: the current time, in Unix seconds.
    """
    until_s = min(viewer.expires_s, int(now_s) + session_s)
    return replace(viewer, session_id=session_id, expires_s=until_s)


def sign(keys: Keyring, viewer: Viewer, now_s: float) -> str:
    """Return the cookie of a session."""
    return keys.sign(Kind.SESSION, viewer, now_s=now_s, until_s=viewer.expires_s)


def verify(keys: Keyring, cookie: str, now_s: float) -> Viewer:
    """Return the viewer of a session.

    Raises:
        TokenError: the session is expired or invalid.
    """
    return keys.verify(Kind.SESSION, cookie, Viewer, now_s)
