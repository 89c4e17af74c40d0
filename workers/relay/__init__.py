"""The relay: a server of live transcripts for browsers and programs."""
