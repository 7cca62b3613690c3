"""List the readers, the writers and the engines of all formats, and keep what was converted in a cache."""
