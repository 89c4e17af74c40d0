"""The local stack; `sagemaker/` replaces the SageMaker platform in front of a real container."""
