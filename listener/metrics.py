"""What Prometheus reads. Every label value comes from the configuration or an enum, never from the web.

Names follow https://prometheus.io/docs/practices/naming/: base units, ``_total`` for counters.
"""

import math
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from listener import __version__
from listener.domain import Hold, Severity, Signal

# How long people take: a minute to a day.
PATIENCE = (60, 300, 900, 1800, 3600, 4 * 3600, 8 * 3600, 24 * 3600)


class Metrics:
    """All metrics of one daemon, in a registry of its own, so that two in one process (as in tests) do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._by_brand: dict[str, BrandGauges] = {}
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.build_info = self._gauge(
            "build_info", "Always 1; the version and the model are in the labels.", "version", "model"
        )
        # Sources
        self.polls = self._counter("polls", "Polls by outcome.", "source", "outcome")
        self.poll_seconds = self._histogram(
            "poll_seconds", "Duration of a poll, from the request to the commit.", "source"
        )
        self.source_success = self._gauge(
            "source_last_success_timestamp_seconds", "When a poll of the source last succeeded.", "source"
        )
        self.items_rejected = self._counter("items_rejected", "Items that could not be read.", "source")
        self.mentions = self._counter(
            "mentions", "Mentions that match a brand, by dedupe verdict.", "source", "verdict"
        )
        self.items_unmatched = self._counter("items_unmatched", "Items that match no brand and are not kept.", "source")
        # Scoring
        self.scored = self._counter("scored", "Mentions that went through the model, by outcome.", "outcome")
        self.scoring_seconds = self._histogram("scoring_batch_seconds", "Duration of one claimed batch in the model.")
        self.scoring_backlog = self._gauge("scoring_backlog", "Mentions that wait for the model.")
        # Perception
        self.perception = self._gauge(
            "perception",
            "Perception of the brand in the last hour, or day where few speak, -100 to 100; NaN when nobody spoke.",
            "brand",
        )
        self.negative_share = self._gauge(
            "negative_share",
            "Share of negative mentions in the last hour, or day where few speak, 0 to 1; NaN when nobody spoke.",
            "brand",
        )
        self.usual_share = self._gauge(
            "negative_share_usual", "Share of negative mentions that is usual, 0 to 1.", "brand"
        )
        self.volume = self._gauge(
            "window_mentions", "Mentions (voices) in the last hour, or day where few speak.", "brand"
        )
        self.budget_share = self._gauge(
            "budget_share", "Share of negative experiences that is allowed, 0 to 1.", "brand"
        )
        self.burn = self._gauge(
            "budget_burn",
            "How fast the budget is used up in the last hour, else the last day: 1 uses it just up.",
            "brand",
        )
        self.evidence = self._gauge(
            "evidence_log", "Natural logarithm of the evidence that the budget is overspent.", "brand"
        )
        self.evidence_limit = self._gauge(
            "evidence_limit_log", "Natural logarithm of the evidence that wakes somebody.", "brand"
        )
        self.volume_score = self._gauge(
            "volume_score", "How unusual the number of negative mentions is; NaN while it is being learned.", "brand"
        )
        self.expected_false_alarms = self._gauge(
            "expected_false_alarms_per_month", "How many times a month chance may wake somebody for the brand.", "brand"
        )
        # Alerts
        self.alerts_firing = self._gauge("alerts_firing", "Alerts that fire now.", "brand", "severity")
        self.events = self._counter("events", "Changes of alerts by what became of them.", "outcome")
        self.events_held = self._counter("events_held", "Changes of alerts that were held back, by why.", "hold")
        self.actions = self._counter("actions", "What people did about alerts.", "action", "via", "outcome")
        self.time_to_ack = self._histogram(
            "time_to_ack_seconds", "From the first message of an alert to the first answer.", buckets=PATIENCE
        )
        self.alert_seconds = self._histogram(
            "alert_seconds", "From the beginning of an alert to its end.", "resolution", buckets=PATIENCE
        )
        self.calls_unreachable = self._counter(
            "calls_unreachable", "Names in a chain behind whom nobody could be reached, by name.", "name"
        )
        self.publish_rejected = self._counter(
            "publish_rejected", "Publishes and subscriptions that the broker refused, by kind.", "kind"
        )
        self.commands_refused = self._counter(
            "commands_refused",
            "Commands over MQTT that were not understood, came too fast, or could not be kept, by reason.",
            "reason",
        )
        self.notifications = self._counter("notifications", "Notifications by outcome.", "receiver", "outcome")
        self.outbox_depth = self._gauge("outbox_depth", "Notifications still to deliver.")
        self.outbox_age = self._gauge("outbox_oldest_seconds", "Age of the oldest notification still to deliver.")
        self.mqtt_connected = self._gauge("mqtt_connected", "1 while the MQTT broker is connected.")
        self.evaluated = self._gauge("last_evaluation_timestamp_seconds", "When the rules last looked.")
        self.told = self._gauge(
            "last_tell_timestamp_seconds", "When it was last decided who is told, without an error."
        )
        self.conflicts = self._counter("conflicts", "Looks at a brand that were not kept: another daemon was first.")
        self.unit_failures = self._counter("unit_failures", "Units of work that ended in an error, by stage.", "stage")

    def of_brand(self, brand: str) -> "BrandGauges":
        """The gauges of one brand, looked up once: a look at a brand sets a dozen of them."""
        known = self._by_brand.get(brand)
        if known is None:
            known = self._by_brand[brand] = BrandGauges(self, brand)
        return known

    def dispatched(self, outcomes: Iterable[str], holds: Iterable[Hold]) -> None:
        """Count what became of events, and what holds back the others."""
        for outcome in outcomes:
            self.events.labels(outcome=outcome).inc()
        for hold in holds:
            self.events_held.labels(hold=hold.value).inc()

    def build(self, model: str) -> None:
        """Say what runs here."""
        self.build_info.labels(version=__version__, model=model).set(1)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, namespace="listener", registry=self.registry)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(name, documentation, labels, namespace="listener", registry=self.registry)

    def _histogram(
        self, name: str, documentation: str, *labels: str, buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS
    ) -> Histogram:
        return Histogram(name, documentation, labels, namespace="listener", registry=self.registry, buckets=buckets)


class BrandGauges:
    """The gauges of one brand."""

    def __init__(self, metrics: Metrics, brand: str) -> None:
        def of(gauge: Gauge) -> Gauge:
            return gauge.labels(brand=brand)

        self._perception, self._mentions = of(metrics.perception), of(metrics.volume)
        self._share, self._usual, self._budget = (
            of(metrics.negative_share),
            of(metrics.usual_share),
            of(metrics.budget_share),
        )
        self._burn, self._evidence, self._limit = (
            of(metrics.burn),
            of(metrics.evidence),
            of(metrics.evidence_limit),
        )
        self._score, self._false_alarms = of(metrics.volume_score), of(metrics.expected_false_alarms)
        self.firing = {
            severity: metrics.alerts_firing.labels(brand=brand, severity=severity.value) for severity in Severity
        }

    def show(self, signal: Signal) -> None:
        """Set them to what was found; NaN where nothing is known."""
        self._perception.set(_known(signal.perception))
        self._share.set(_known(signal.observed))
        self._usual.set(_known(signal.expected))
        self._mentions.set(signal.mentions)
        strength = signal.strength
        if strength is not None:
            self._budget.set(strength.budget)
            self._burn.set(_known(strength.burn_hour if strength.burn_hour is not None else strength.burn_day))
            self._evidence.set(strength.evidence)
            self._limit.set(strength.limit)
            self._score.set(_known(strength.volume))
            self._false_alarms.set(strength.false_alarms_per_month)


def _known(value: float | None) -> float:
    return math.nan if value is None else value
