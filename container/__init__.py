"""What runs beside the model: the image SageMaker starts, and its stand-in on a laptop.

bridge/   SageMaker's container contract in front of an engine's Realtime API
cpu/      an engine: the same Realtime API as vLLM's, over a speech model that runs on a CPU
"""
