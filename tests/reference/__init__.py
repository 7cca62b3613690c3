"""What every operation computes, written as plainly as possible in numpy float64. Nothing here is fast."""
