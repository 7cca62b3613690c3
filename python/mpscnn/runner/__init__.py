"""Many photos or arrays, several at once, results in order."""
