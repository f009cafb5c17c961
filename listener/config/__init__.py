"""The configuration: one TOML file, secrets by environment or file, every fault named with its place and its fix."""

from listener.config.load import load
from listener.config.models import Brand, BrandName, Settings, Thresholds

__all__ = ["Brand", "BrandName", "Settings", "Thresholds", "load"]
