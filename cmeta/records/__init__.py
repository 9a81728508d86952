"""Records as values in memory: what a user gives, what travels to the encoder, what comes back."""
