"""A small site on loopback that tells the story of a brand whose customers turn: something real to poll."""
