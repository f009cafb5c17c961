"""Reading hostile bytes: encodings, JSON, times, feeds, records, mappings. Pure, and bounded in size and depth."""
