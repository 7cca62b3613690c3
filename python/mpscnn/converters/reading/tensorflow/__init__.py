"""Read TensorFlow's own files: SavedModels, frozen graphs, checkpoints of TF-slim and models of TensorFlow.js."""
