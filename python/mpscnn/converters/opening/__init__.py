"""Open files: their kinds, bytes, archives and messages, within limits, and one error for all that is not read."""
