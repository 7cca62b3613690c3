"""Read files of other frameworks: a folder for each format."""
