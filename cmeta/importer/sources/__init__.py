"""One file for each kind of source: a function from a path to `Imported`."""
