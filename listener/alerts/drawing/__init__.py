"""Alerts as pictures."""
