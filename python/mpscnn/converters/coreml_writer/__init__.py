"""Networks as Core ML models, written by coremltools."""
