"""What can be looked for: the options of every type of rule. Each class is its configuration schema."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class NegativeShare(BaseModel):
    """Fires when the share of negative mentions rises well above what is usual for the brand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=100, description="Names the rule in alerts and topics")
    type: Literal["negative_share"] = "negative_share"
    window_secs: int = Field(default=3600, ge=300, le=7 * 86400, description="The stretch of time that is judged")
    baseline_secs: int = Field(
        default=28 * 86400, ge=86400, le=366 * 86400, description="The stretch before it that tells what is usual"
    )
    mentions_min: int = Field(
        default=10, ge=1, le=1_000_000, description="With fewer mentions in the window the rule does not judge"
    )
    ratio: float = Field(
        default=1.5, gt=1.0, le=100.0, description="How many times the usual share is a warning (see detect.limit)"
    )
    ratio_critical: float = Field(default=2.0, gt=1.0, le=100.0, description="Likewise, for critical")
    confidence: float = Field(
        default=0.99, ge=0.5, le=0.9999, description="How sure one look must be that the limit is passed"
    )
    resolve_after_secs: int = Field(
        default=1800, ge=60, le=7 * 86400, description="How long calm must last until the alert is resolved"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.ratio_critical < self.ratio:
            raise ValueError("ratio_critical is below ratio: critical would come before warning")
        if self.baseline_secs <= self.window_secs:
            raise ValueError("baseline_secs is not longer than window_secs: nothing would be left to compare with")
        return self

    def for_brand(self, thresholds: Mapping[str, float | int | None]) -> Self:
        """The rule with what is set of a brand's own ``thresholds``. Raises ValueError when they do not fit."""
        own = {name: value for name, value in thresholds.items() if name in THRESHOLDS and value is not None}
        return type(self).model_validate(self.model_dump() | own)


THRESHOLDS = frozenset({"ratio", "ratio_critical", "mentions_min"})  # what a brand may set of a rule

Rule = NegativeShare

RULE_TYPES: Mapping[str, type[BaseModel]] = MappingProxyType({"negative_share": NegativeShare})
"""Every type of rule by its name in the configuration: the loader checks ``[[rules]]`` against these."""
