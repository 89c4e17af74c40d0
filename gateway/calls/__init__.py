"""One call, from its first media to `stream.ended`.

registry         the live streams of the process
stream           one media stream: its state, limits and tracks
track            one direction of a stream: orchestrates the modules below
track_audio      frames to chunks and gaps; arrivals judges frames without times
replay_buffer    audio that must be sent, or may have to be sent again
replay_state     what is answered, final or missing, and where a replay begins
sessions         opens, watches and replaces the track's model sessions
model_session    one session
session_clock    what is due in it; audio_clock, speech_clock and turn_clock implement it
session_health   whether it answers in time
sent_audio       what it has sent
placed_answers   its answers on the media clock
turn_audio       its audio in turns, for servers that answer turns
silent_model     detects a model that returns no words
words_only       detects a server that returns words only, and so is not the dialect's
stream_reporter  events that are not words, and the log line of a stream
snapshot         the state of a stream for the admin API
termination      why a stream ended
allowance        rate limits of a media socket
services         interfaces that a call needs from the rest of the process
"""
