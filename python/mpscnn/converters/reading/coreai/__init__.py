"""Read Core AI's assets (.aimodel)."""
