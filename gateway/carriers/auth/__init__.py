"""Authentication of carriers' requests. Pure."""
