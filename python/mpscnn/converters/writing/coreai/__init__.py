"""Write networks as Core AI's assets (.aimodel)."""
