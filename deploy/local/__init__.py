"""The laptop's stack: `sagemaker/` stands in for the platform, in front of a real container."""
