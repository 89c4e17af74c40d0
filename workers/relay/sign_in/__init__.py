"""Signing in to the relay, which shows nothing to anyone who is not signed in.

    POST /api/session {token}   links.py verifies --------------------------> gate.py: begin
    /sign-in/oidc, …/callback   provider.py, openid_connect.py, identity.py --> gate.py: begin
    any request with a cookie   gate.py: sessions.py verifies, signed_out.py checks --> Viewer

- `assembly.py` creates all of it: `signing_in(settings, client)` yields a `SignIn`.
- `viewer.py`: who looks, and what they may see. `identity.py`: from a provider's claims.
- `tokens.py` signs links, sessions and sign-ins in progress; each kind has its own key.
- `cross_site.py`, `failures.py`: what pages of other sites and wrong links may not do.
- `admin_links.py` and `./run link` create links. `audit.py` writes who looked at which call.
"""
