"""Recorded audio from a file, in blocks: any format, one party per channel, in constant memory.

riff.py       the header of RIFF, RF64 and BW64 files
samples.py    PURE  PCM, float and G.711 samples to floats
resampler.py  PURE  another rate, block by block
recording.py  opens a file; formats that are no WAV go to libsndfile
"""
