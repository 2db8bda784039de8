/* A small MQTT 3.1.1 client over TLS: QoS 1 out, no stored session. `openssl s_client` is its TLS, as a child process. */
#ifndef MQTT_H
#define MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MQTT_MAX_PACKET (16 * 1024) /* received; a shadow has 8 KB at most */
#define MQTT_KEEP_ALIVE_S 30 /* without any packet for so long, the connection counts as lost */

typedef struct {
    const char *host, *port, *ca, *certificate, *key; /* the last three are PEM files */
} mqtt_endpoint;

typedef struct {
    int socket; /* -1: not connected */
    pid_t tls;
    uint16_t last_id;
    double sent_at, received_at;
    unsigned unacknowledged; /* messages */
    size_t filled, used; /* bytes in the buffer; those of the packet that the last event points into */
    uint8_t buffer[MQTT_MAX_PACKET];
} mqtt_client;

typedef enum { MQTT_NOTHING, MQTT_CONNECTED, MQTT_SUBSCRIBED, MQTT_MESSAGE, MQTT_CLOSED } mqtt_event_kind;

typedef struct {
    mqtt_event_kind kind;
    const char *topic, *payload; /* valid until the next call; they do not end with a zero */
    size_t topic_length, payload_length;
} mqtt_event;

double monotonic_s(void);
bool mqtt_open(mqtt_client *c, const mqtt_endpoint *endpoint, const char *client_id);
bool mqtt_subscribe(mqtt_client *c, const char *topic);
bool mqtt_publish(mqtt_client *c, const char *topic, const void *payload, size_t size);
mqtt_event mqtt_poll(mqtt_client *c, int timeout_ms);
/* Wait until every message was acknowledged, for some seconds at most; messages that arrive meanwhile are dropped. */
void mqtt_flush(mqtt_client *c, double seconds);
void mqtt_close(mqtt_client *c);

#endif
