"""An MQTT broker with things, shadows, topic rules and fleet provisioning, as AWS IoT Core has them."""
