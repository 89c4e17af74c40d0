"""The version of Callscribe."""

from importlib import metadata


def version() -> str:
    """Return the installed version; "unknown" if the source runs without an installation."""
    try:
        return metadata.version("callscribe")
    except metadata.PackageNotFoundError:
        return "unknown"
