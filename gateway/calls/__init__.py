"""One call's life: streams, their tracks, and how many may live at once."""
