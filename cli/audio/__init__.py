"""Reads recordings of any format in blocks, one party per channel, with constant memory.

riff.py       parses the header of RIFF, RF64 and BW64 files
samples.py    PURE  decodes PCM, float and G.711 samples to floats
resampler.py  PURE  changes the sample rate block by block
recording.py  opens a file; formats other than plain WAV are read by libsndfile
"""
