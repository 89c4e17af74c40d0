"""Serve live transcripts to browsers and programs over HTTP."""
