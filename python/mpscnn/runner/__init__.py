"""Run many photos or arrays, several at a time, with results in order."""
