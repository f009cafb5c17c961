"""What can be looked for: the options of every type of rule. Each class is its configuration schema."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

FALSE_ALARMS_MIN = 0.001  # a month: what a few weeks of history can promise at best
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name = Field(description="Names the rule in alerts and topics")

    def for_brand(self, thresholds: Mapping[str, float | int | None]) -> Self:
        """The rule with what is set of a brand's own ``thresholds``. Raises ValueError when they do not fit."""
        own = {name: value for name, value in thresholds.items() if name in type(self).model_fields}
        return type(self).model_validate(self.model_dump() | {k: v for k, v in own.items() if v is not None})


class Deterioration(_Rule):
    """Fires when perception deteriorates, and chance would be a poor explanation.

    The budget of negative experiences is overspent, perception falls faster than a threshold, or negative mentions pile
    up.
    """

    type: Literal["deterioration"] = "deterioration"
    budget: float | None = Field(
        default=None, gt=0.0, lt=1.0, description="Share of negative experiences that is allowed; learned if not set"
    )
    budget_ratio: float = Field(
        default=1.25, gt=1.0, le=10.0, description="A learned budget allows this many times the usual share"
    )
    budget_points: float = Field(
        default=0.02, ge=0.0, le=0.5, description="... and at least this much more than the usual share (0..1)"
    )
    points_per_hour: float | None = Field(
        default=None,
        gt=0.0,
        le=200.0,
        description="Perception (-100..100) may not fall faster than so many points an hour",
    )
    points_per_day: float | None = Field(
        default=None, gt=0.0, le=200.0, description="... and not faster than so many points a day"
    )
    false_alarms_per_month: float = Field(
        default=0.5,
        ge=FALSE_ALARMS_MIN,
        le=100.0,
        description="How many times a month chance may wake somebody for this brand",
    )
    false_alarms_per_month_fleet: float | None = Field(
        default=None,
        ge=0.001,
        le=1000.0,
        description="... or for all brands together: each gets an equal part, where it has no figure of its own",
    )
    counts: Literal["risk", "label"] = Field(
        default="risk", description="A mention counts with its risk (0..1), or by its label (0 or 1)"
    )
    volume: bool = Field(default=True, description="Whether the number of negative mentions is watched too")
    volume_critical: float = Field(default=7.0, gt=0.0, le=100.0, description="Score of the number that wakes somebody")
    volume_warning: float = Field(default=6.0, gt=0.0, le=100.0, description="Score of the number that is a warning")
    settle_secs: int = Field(
        default=3600, ge=0, le=86400, description="How late mentions may come and still count for the number"
    )
    resolve_after_secs: int = Field(
        default=7200, ge=60, le=7 * 86400, description="How long calm must last until the alert is resolved"
    )
    reopen_within_secs: int = Field(
        default=86400, ge=0, le=7 * 86400, description="A breach so soon after the end is the same alert again"
    )
    stale_after_secs: int = Field(
        default=3 * 86400, ge=3600, le=30 * 86400, description="After such a silence the alert is closed: no data"
    )

    @property
    def fall_allowed(self) -> float | None:
        """By how much dissatisfaction (0..1) may rise within an hour or a day; None where the user sets no limit."""
        limits = [points for points in (self.points_per_hour, self.points_per_day) if points is not None]
        return min(limits) / 200.0 if limits else None

    def shared(self, brands: int) -> Self:
        """The rule with each brand's part of the fleet's false alarms: their rates add up, whatever depends on what."""
        if self.false_alarms_per_month_fleet is None or not brands:
            return self
        part = max(self.false_alarms_per_month_fleet / brands, FALSE_ALARMS_MIN)
        return self.model_copy(update={"false_alarms_per_month": part})

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.volume_critical < self.volume_warning:
            raise ValueError("volume_critical is below volume_warning: critical would come before warning")
        return self


class HighRisk(_Rule):
    """Fires on a single mention: its risk times its reach is large, or its author reaches very many."""

    type: Literal["high_risk"] = "high_risk"
    weight_min: float = Field(default=10_000.0, gt=0.0, description="Risk times reach from which it is a warning")
    reach_great: int = Field(default=1_000_000, ge=1, description="Reach from which a likely complaint wakes somebody")
    risk_min: float = Field(
        default=0.5, ge=0.0, le=1.0, description="... if its risk is so high; risk times reach has the risk in it"
    )
    cooldown_secs: int = Field(
        default=6 * 3600, ge=60, le=7 * 86400, description="How long the alert stands; no second one comes meanwhile"
    )


class Blind(_Rule):
    """Fires when the sources of a brand fail: silence is no good news then."""

    type: Literal["blind"] = "blind"
    intervals: float = Field(
        default=2.0, ge=1.0, le=100.0, description="A source is blind after so many polling intervals without success"
    )
    after_secs: int = Field(default=900, ge=60, le=7 * 86400, description="... but not before so many seconds")
    share: float = Field(
        default=0.5, gt=0.0, le=1.0, description="The brand is blind when sources that brought so much of it are"
    )


Rule = Deterioration | HighRisk | Blind

RULE_TYPES: Mapping[str, type[BaseModel]] = MappingProxyType(
    {"deterioration": Deterioration, "high_risk": HighRisk, "blind": Blind}
)
"""Every type of rule by its name in the configuration: the loader checks ``[[rules]]`` against these."""

DEFAULT_RULES: tuple[Rule, ...] = (Deterioration(name="deterioration"), HighRisk(name="high_risk"), Blind(name="blind"))
"""What is looked for where no rules are configured."""
