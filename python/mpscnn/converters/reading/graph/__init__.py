"""The graph of the vocabulary's operators that layers of other formats become, without a file."""
