"""A track's audio, from what the carrier sent to what the model hears. Pure.

encodings     how payload bytes stand for samples, and their decoding
clock         where each frame belongs on the media clock, and what is missing
interpolator  8 kHz to 16 kHz
pipeline      one track's way through all three: frames in, chunks and gaps out
"""
