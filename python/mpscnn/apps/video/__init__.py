"""Run models on videos: sources, frames in order, and written videos."""
