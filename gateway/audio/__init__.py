"""A track's audio, from what the carrier sent to what the model hears. Pure.

encodings     how payload bytes stand for samples, and their decoding
clock         where each frame belongs on the media clock, and what is missing
resampler     any rate to 16 kHz: by an interpolator (8 kHz) or decimator (24 kHz), both of them
              designs for one streaming polyphase filter
pipeline      one track's way through all three: frames in, chunks and gaps out
codec_detection  whether the payload is what was announced
loudness      where a track is loud enough to be speech
channels      channels that lie sample by sample in one payload
"""
