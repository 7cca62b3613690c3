"""Convert Core ML models to networks: neural networks (.mlmodel) and programs (.mlpackage)."""
