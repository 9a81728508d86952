"""Whatever works on whole files, through the reader and `write` alone."""
