"""What the ids of entries contain: when an entry was written, and their order. Pure."""


def written_ms(entry_id: str) -> int:
    """Return when an entry was written, in Unix ms by Redis's clock."""
    return int(entry_id.partition("-")[0])


def order(entry_id: str) -> tuple[int, int]:
    """Return a key by which the ids of one stream are in the order of its entries."""
    ms, _, sequence = entry_id.partition("-")
    return int(ms), int(sequence or 0)
