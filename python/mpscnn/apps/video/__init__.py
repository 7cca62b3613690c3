"""Run models on videos: read frames, compute them in order, and write videos."""
