"""Tests of cli.bench."""
