"""MQTT: the connection, the topics, what we publish and what we are told."""
