"""Carriers' wire protocols, one file per carrier. Pure: bytes in, events out."""
