"""Which version of the software this is."""

from importlib import metadata


def version() -> str:
    """Return the installed version; "unknown" where the source runs without an installation."""
    try:
        return metadata.version("callscribe")
    except metadata.PackageNotFoundError:
        return "unknown"
