"""How a secret is shown in an upgrade's headers. Pure."""

import base64


def bearer(secret: str) -> dict[str, str]:
    """Show it as a bearer token."""
    return {"Authorization": f"Bearer {secret}"}


def basic(secret: str) -> dict[str, str]:
    """Show it as the password of Basic credentials; the name is anybody's."""
    pair = base64.b64encode(f"callscribe:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}
