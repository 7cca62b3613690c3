"""Networks: built from layers, their weights, extractors of features, and model files."""
