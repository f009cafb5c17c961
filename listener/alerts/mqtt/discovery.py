"""Home Assistant's MQTT discovery: one device for this daemon, with every brand. Pure.

Written after https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload: one retained message whose root
has ``dev``, ``o`` and the shared options, and whose ``cmps`` have ``p`` and ``unique_id`` each. A component is removed
by a message in which nothing but its ``p`` is left.
"""

from collections.abc import Mapping
from typing import Any

from listener.alerts.mqtt.retained import readable
from listener.alerts.mqtt.topics import Topics, slug

ORIGIN = "listener"
STATES = ("ok", "blind", "warning", "critical")
# Where nothing can be heard, nothing is known: Home Assistant reads None as that.
PROBLEM = "{{ 'ON' if value_json.state in ['warning', 'critical'] else 'OFF' if value_json.state == 'ok' else 'None' }}"
SHARE = "{{ (value_json.observed * 100) | round(1) if value_json.observed is not none else 'None' }}"
PERCEPTION = "{{ value_json.perception | round(1) if value_json.perception is not none else 'None' }}"


def discovery_topic(prefix: str, instance: str) -> str:
    """Where Home Assistant looks for this daemon."""
    return f"{prefix}/device/{_device(instance)}/config"


def birth_topic(prefix: str) -> str:
    """Where Home Assistant says ``online`` when it has started, and wants to be told anew."""
    return f"{prefix}/status"


def discovery(topics: Topics, brands: Mapping[str, str], *, version: str) -> dict[str, Any]:
    """The device with its sensors; ``brands`` are their names for people by slug."""
    components: dict[str, Any] = {}
    for brand, title in brands.items():
        components |= _components(topics, brand, title)
    return {
        "dev": {
            "ids": [_device(topics.instance)],
            "name": f"listener {topics.instance}",
            "mf": "listener",
            "mdl": "Brand perception",
            "sw": version,
        },
        "o": {"name": ORIGIN, "sw": version},
        "availability": [
            {
                "topic": topics.status,
                "value_template": "{{ value_json.state }}",
                "payload_available": "online",
                "payload_not_available": "offline",
            }
        ],
        "qos": 1,
        "cmps": components,
    }


def _components(topics: Topics, brand: str, title: str) -> dict[str, Any]:
    level = slug(brand)

    def component(kind: str, platform: str, name: str, template: str, **options: Any) -> tuple[str, dict[str, Any]]:
        return f"{level}_{kind}", {
            "p": platform,
            "name": name,
            "unique_id": f"{_device(topics.instance)}_{level}_{kind}",
            "state_topic": topics.state(brand),
            "value_template": template,
            **options,
        }

    share = {"unit_of_measurement": "%", "state_class": "measurement"}
    return dict(
        (
            component("problem", "binary_sensor", f"{title} problem", PROBLEM, device_class="problem"),
            component("perception", "sensor", f"{title} perception", PERCEPTION, state_class="measurement"),
            component("negative", "sensor", f"{title} negative share", SHARE, **share),
            component(
                "state", "sensor", f"{title} state", "{{ value_json.state }}", device_class="enum", options=list(STATES)
            ),
        )
    )


def is_ours(body: bytes) -> bool:
    """Whether what is retained on our discovery topic was written by a listener."""
    origin = (readable(body) or {}).get("o")
    return isinstance(origin, dict) and origin.get("name") == ORIGIN


def removals(body: bytes, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What takes the components away that a former message has and ``wanted`` has not: ``p`` alone, by component."""
    components = (readable(body) or {}).get("cmps")
    if not is_ours(body) or not isinstance(components, dict):
        return {}
    return {
        key: {"p": former["p"]}
        for key, former in components.items()
        if key not in wanted["cmps"] and isinstance(former, dict) and isinstance(former.get("p"), str)
    }


def _device(instance: str) -> str:
    return f"listener_{slug(instance)}"
