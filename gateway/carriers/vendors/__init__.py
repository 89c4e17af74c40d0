"""One module or package per carrier. Pure."""
