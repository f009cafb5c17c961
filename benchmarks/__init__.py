"""The figures of the README and the docs: every number there comes from a command here."""
