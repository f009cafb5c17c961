"""Which brands a mention is about: names in all their forms, and a small query language."""

from listener.matching.matcher import BrandMatcher, Evidence, Matcher, Spelling, compile_brand
from listener.matching.query import parse

__all__ = ["BrandMatcher", "Evidence", "Matcher", "Spelling", "compile_brand", "parse"]
