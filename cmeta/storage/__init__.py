"""The disk: which files a path means, reading and writing them, and the state they are in."""
