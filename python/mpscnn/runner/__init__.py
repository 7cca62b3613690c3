"""Many photos or arrays, several at a time, results in order."""
