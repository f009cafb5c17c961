"""Reading mentions with a transformer: which model, in what batches, on which thread, and what its outputs mean."""
