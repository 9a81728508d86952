"""Whether two runs have the same values: how far apart two are, and the report of a replay."""
