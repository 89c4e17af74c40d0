"""Tests of cli.audio."""
