"""The outputs of the model, in order, and where each head's lie. The names follow ``listener.sentiment.labels``."""

from itertools import accumulate, pairwise

SENTIMENTS = ("negative", "neutral", "positive")
EMOTIONS = ("anger", "anticipation", "disgust", "fear", "joy", "sadness", "surprise", "trust")
LOYALTY = ("repurchase", "recommend", "switch", "warn")

HEADS: dict[str, tuple[str, ...]] = {
    "sentiment": tuple(f"sentiment/{name}" for name in SENTIMENTS),
    "risk": ("risk",),
    "emotions": tuple(f"emotions/{name}" for name in EMOTIONS),
    "loyalty": tuple(f"loyalty/{name}" for name in LOYALTY),
    "wish": ("wish",),
}
OUTPUTS = tuple(name for names in HEADS.values() for name in names)
_EDGES = pairwise(accumulate(map(len, HEADS.values()), initial=0))
PLACES = {head: slice(*edges) for head, edges in zip(HEADS, _EDGES, strict=True)}
