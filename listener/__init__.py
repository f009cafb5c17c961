"""listener: hear what customers say about a brand, and page people when it turns bad."""

__version__ = "0.1.0"
