"""Write networks as files of other frameworks: a folder for each format."""
