"""The SageMaker bidirectional-streaming transport."""
