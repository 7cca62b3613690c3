"""Videos through a model: sources, frames in order, and pictures written as a video."""
