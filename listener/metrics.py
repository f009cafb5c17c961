"""What Prometheus reads. Every label value comes from the configuration or an enum, never from the web.

Names follow https://prometheus.io/docs/practices/naming/: base units, ``_total`` for counters.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from listener import __version__


class Metrics:
    """All metrics of one daemon, in a registry of its own, so that two in one process (as in tests) do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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
        self.notifications = self._counter("notifications", "Notifications by outcome.", "receiver", "outcome")
        self.outbox_depth = self._gauge("outbox_depth", "Notifications still to deliver.")
        self.outbox_age = self._gauge("outbox_oldest_seconds", "Age of the oldest notification still to deliver.")
        self.mqtt_connected = self._gauge("mqtt_connected", "1 while the MQTT broker is connected.")
        self.evaluated = self._gauge("last_evaluation_timestamp_seconds", "When the rules last looked.")
        self.unit_failures = self._counter("unit_failures", "Units of work that ended in an error, by stage.", "stage")

    def build(self, model: str) -> None:
        """Say what runs here."""
        self.build_info.labels(version=__version__, model=model).set(1)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, namespace="listener", registry=self.registry)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(name, documentation, labels, namespace="listener", registry=self.registry)

    def _histogram(self, name: str, documentation: str, *labels: str) -> Histogram:
        return Histogram(name, documentation, labels, namespace="listener", registry=self.registry)
