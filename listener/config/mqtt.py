"""Options of the MQTT receiver (table ``[mqtt]``): which broker, how to reach it, who we are there."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator


def _topic_prefix(value: str) -> str:
    """Refuse what would turn our topics into wildcards, the broker's own ``$`` topics, or topics with empty levels."""
    if value.startswith("$") or any(not level for level in value.split("/")):
        raise ValueError("levels are separated by one slash, none is empty, and the first does not begin with $")
    if any(char in "+#" or not char.isprintable() or char.isspace() for char in value):
        raise ValueError("a topic may hold neither the wildcards + and # nor spaces")
    return value


class TlsOptions(BaseModel):
    """TLS towards the broker (table ``[mqtt.tls]``; an empty table means TLS with the system's authorities).

    The files are read at every connection, so that a renewed certificate is picked up without a restart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    ca_file: Path | None = Field(
        default=None, description="PEM file of the authorities to trust; default: the system's"
    )
    cert_file: Path | None = Field(default=None, description="PEM file with our client certificate and its chain")
    key_file: Path | None = Field(default=None, description="PEM file with the key of the client certificate")

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together: give both or neither")
        return self


class MqttOptions(BaseModel):
    """Where alerts are published. The broker's address, our name and secret there, and how patient we are."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    broker: Literal["external", "embedded"] = Field(
        default="external",
        description="external: the broker at host and port; embedded: one in this process, for trying listener out",
    )
    host: str = Field(default="localhost", min_length=1, max_length=253, description="Name or address of the broker")
    port: int = Field(default=1883, ge=1, le=65535, description="TCP port; 8883 is usual with TLS")
    username: str | None = Field(default=None, max_length=65535, description="User name at the broker")
    password: SecretStr | None = Field(
        default=None, description="Password at the broker, from the environment or a file"
    )
    tls: TlsOptions | None = Field(default=None, description="TLS, when the table is present")
    protocol: Literal["auto", "5", "3.1.1"] = Field(
        default="auto", description="MQTT version; auto: 5 first, 3.1.1 when the broker does not speak it"
    )
    keepalive_secs: int = Field(
        default=30, ge=5, le=3600, description="Longest silence; the broker declares us offline after 1.5 times that"
    )
    timeout_secs: float = Field(default=10.0, ge=0.1, le=120.0, description="How long to wait for the broker's answer")
    topic_prefix: Annotated[str, AfterValidator(_topic_prefix)] = Field(
        default="listener/v1", min_length=1, max_length=200, description="First levels of all our topics"
    )
    homeassistant: bool = Field(
        default=False, description="Whether Home Assistant is told (MQTT discovery) of a device with every brand"
    )
    homeassistant_prefix: Annotated[str, AfterValidator(_topic_prefix)] = Field(
        default="homeassistant", min_length=1, max_length=200, description="Discovery prefix of Home Assistant"
    )

    @model_validator(mode="after")
    def _password_with_user(self) -> Self:
        if self.password is not None and self.username is None:
            raise ValueError("password without username: MQTT 3.1.1 forbids it; set username")
        return self
