"""Receivers: where alerts go, besides the broker. One file each; the class is the schema of its configuration."""
