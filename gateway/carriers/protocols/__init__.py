"""Message formats that several carriers share. Pure."""
