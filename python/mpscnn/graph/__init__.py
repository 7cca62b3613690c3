"""Networks: layers, weights, feature extractors and model files."""
