"""Decides where a browser goes after signing in. Pure."""

import re
from typing import Final

# Browsers read "//" and "/\" as the beginning of another site's URL, and skip tabs and newlines.
_LOCAL: Final = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]{0,1022})?")


def local_path(text: str) -> str:
    """Return a path of this site unchanged, and `/` for everything else."""
    return text if _LOCAL.fullmatch(text) else "/"
