"""Answers on the media clock, as a track receives them."""

from gateway.calls.placed_answers import PlacedAnswer
from gateway.transcript.session_timeline import Placement


def answered(text: str, start_ms: int, end_ms: int, *, is_final: bool = True) -> PlacedAnswer:
    """Return an answer of a server."""
    placement = Placement(start_ms, end_ms, 0.0)
    answered_ms = end_ms if is_final else None
    return PlacedAnswer(text, placement, answered_ms, 0.0, end_ms - start_ms)


def assumed(until_ms: int, text: str = "", *, start_ms: int = 0, end_ms: int = 0) -> PlacedAnswer:
    """Return an answer that the server did not give, with the text it had sent before."""
    placement = Placement(start_ms, end_ms if text else until_ms, 0.0)
    return PlacedAnswer(text, placement, until_ms, 0.0, 0, is_assumed=True, text_end_ms=end_ms)
