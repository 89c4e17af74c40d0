"""One track's audio: from the carrier's payload to the chunks that the model receives. Pure.

encodings        sample encodings of payloads, and their decoding to PCM
clock            position of each frame on the media clock; detection of missing audio
resampler        any supported rate to 16 kHz, with filter designs for 8 kHz and 24 kHz
polyphase        the streaming filter that runs those designs
pipeline         one track's path through all of these: frames in, chunks and gaps out
codec_detection  whether the payload matches the announced encoding
loudness         the stretches of a track that are loud enough to be speech
channels         splitting of payloads with interleaved channels
"""
