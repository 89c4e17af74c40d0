"""What carriers say on the wire, one file per carrier. Pure: bytes in, events out."""
