"""Tools that work on whole files, through the reader and `write` alone."""
