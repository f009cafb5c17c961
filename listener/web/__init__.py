"""The HTTP side: metrics and health, and where an address is given to people, the ways in by which they act."""

from listener.web.acting import Acting
from listener.web.application import Check, application

__all__ = ["Acting", "Check", "application"]
