"""Training: optimisers, learning rates, and the trainer that takes them (docs/training.md)."""
