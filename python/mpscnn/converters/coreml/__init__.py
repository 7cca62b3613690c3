"""Core ML's models as networks: neural networks (.mlmodel) and programs (.mlpackage)."""
