"""Redaction: mask what is sensitive in the transcript events of a call.

docs/redaction.md says what is masked and what is held. Everything but the worker and its settings
does no I/O.

worker        the worker: copies the events of all calls to redacted streams
settings      what is masked in the calls of each route
call          the redactor of one call: streams, epochs, numbering
track         of one track: holds finals and words until they are decided
reading       reads a track's text as it grows, and fills its segments
plain         passes ordinary words, which need no scan
scan          decides what to mask in a text, and how much of it is decided
recognizers   decide what a run of digits and letters is
emails        finds addresses
marks         which cue applies where
cues          phrases that announce a number
spoken        tokens, and the runs of digits and letters in them
lexicon       number words, months, letters and fillers, per language
checksums     of cards, accounts and national numbers
kinds         the kinds, their masks, and a match
"""

from workers.redact.call import CallRedactor, Redacted
from workers.redact.kinds import Kind
from workers.redact.lexicon import LANGUAGES

__all__ = ["LANGUAGES", "CallRedactor", "Kind", "Redacted"]
