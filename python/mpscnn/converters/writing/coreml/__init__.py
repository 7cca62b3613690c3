"""Write networks as Core ML models, with coremltools."""
