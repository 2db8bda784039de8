#include "mqtt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CONNECT = 0x10, CONNACK = 0x20, PUBLISH = 0x30, PUBACK = 0x40, SUBSCRIBE = 0x82, SUBACK = 0x90, PINGREQ = 0xc0 };

double monotonic_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool is_address(const char *host) { return strspn(host, "0123456789.") == strlen(host) || strchr(host, ':'); }

static void run_tls(int socket, const mqtt_endpoint *e)
{
    char address[300];
    snprintf(address, sizeof address, strchr(e->host, ':') ? "[%s]:%s" : "%s:%s", e->host, e->port);
    dup2(socket, 0);
    dup2(socket, 1);
    close(socket);
    execlp("openssl", "openssl", "s_client", "-quiet", "-connect", address, "-CAfile", e->ca, "-cert", e->certificate,
           "-key", e->key, "-verify_return_error", is_address(e->host) ? "-verify_ip" : "-verify_hostname", e->host,
           (char *)NULL);
    _exit(127);
}

static bool send_all(mqtt_client *c, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size) {
        ssize_t sent = send(c->socket, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    c->sent_at = monotonic_s();
    return true;
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
    size_t length = strlen(text);
    *at++ = (uint8_t)(length >> 8);
    *at++ = (uint8_t)length;
    memcpy(at, text, length);
    return at + length;
}

/* Send the fixed header of a packet whose remaining length is `size`. */
static bool send_header(mqtt_client *c, uint8_t type, size_t size)
{
    uint8_t header[5], *at = header;
    *at++ = type;
    do {
        *at++ = (uint8_t)((size & 127) | (size > 127 ? 128 : 0));
        size >>= 7;
    } while (size);
    return send_all(c, header, (size_t)(at - header));
}

static uint8_t *put_id(mqtt_client *c, uint8_t *at)
{
    if (!++c->last_id)
        c->last_id = 1;
    *at++ = (uint8_t)(c->last_id >> 8);
    *at++ = (uint8_t)c->last_id;
    return at;
}

bool mqtt_open(mqtt_client *c, const mqtt_endpoint *endpoint, const char *client_id)
{
    int pair[2];
    uint8_t packet[160], *at = packet;
    memset(c, 0, sizeof *c);
    c->socket = -1;
    c->received_at = monotonic_s();
    if (strlen(client_id) > 128 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        return false;
    c->tls = fork();
    if (!c->tls) {
        close(pair[0]);
        run_tls(pair[1], endpoint);
    }
    close(pair[1]);
    c->socket = pair[0];
    at = put_text(at, "MQTT");
    *at++ = 4;
    *at++ = 2; /* clean session: the whole shadow is read after each connect */
    *at++ = 0;
    *at++ = MQTT_KEEP_ALIVE_S;
    at = put_text(at, client_id);
    return c->tls > 0 && send_header(c, CONNECT, (size_t)(at - packet)) && send_all(c, packet, (size_t)(at - packet));
}

bool mqtt_subscribe(mqtt_client *c, const char *topic)
{
    uint8_t packet[300], *at = packet;
    if (strlen(topic) > 256)
        return false;
    at = put_text(put_id(c, at), topic);
    *at++ = 1; /* QoS */
    return send_header(c, SUBSCRIBE, (size_t)(at - packet)) && send_all(c, packet, (size_t)(at - packet));
}

bool mqtt_publish(mqtt_client *c, const char *topic, const void *payload, size_t size)
{
    uint8_t head[300], *at = head;
    if (strlen(topic) > 256)
        return false;
    at = put_id(c, put_text(at, topic));
    c->unacknowledged++;
    return send_header(c, PUBLISH | 2, (size_t)(at - head) + size) && send_all(c, head, (size_t)(at - head)) &&
           send_all(c, payload, size);
}

/* Return the size of the packet at the start of the buffer, 0 if it is incomplete; `header` is that of its header. */
static size_t packet_size(const mqtt_client *c, size_t *header)
{
    size_t length = 0;
    for (size_t i = 1; i < 5 && i < c->filled; i++) {
        length |= (size_t)(c->buffer[i] & 127) << 7 * (i - 1);
        if (c->buffer[i] < 128) {
            *header = i + 1;
            return length + *header > sizeof c->buffer ? SIZE_MAX : length + *header;
        }
    }
    return c->filled > 4 ? SIZE_MAX : 0;
}

static mqtt_event message(mqtt_client *c, const uint8_t *body, size_t size)
{
    mqtt_event event = {MQTT_CLOSED, NULL, NULL, 0, 0};
    size_t topic = size < 2 ? SIZE_MAX : (size_t)(body[0] << 8 | body[1]), qos = c->buffer[0] >> 1 & 3;
    size_t head = qos ? 4 : 2;
    if (topic > size || head + topic > size)
        return event;
    event.topic = (const char *)body + 2;
    event.topic_length = topic;
    event.payload = (const char *)body + head + topic;
    event.payload_length = size - head - topic;
    if (qos) {
        const uint8_t acknowledgement[4] = {PUBACK, 2, body[2 + topic], body[3 + topic]};
        if (!send_all(c, acknowledgement, sizeof acknowledgement))
            return event;
    }
    event.kind = MQTT_MESSAGE;
    return event;
}

static mqtt_event read_packet(mqtt_client *c, size_t header, size_t size)
{
    mqtt_event event = {MQTT_NOTHING, NULL, NULL, 0, 0};
    const uint8_t *body = c->buffer + header;
    switch (c->buffer[0] & 0xf0) {
    case CONNACK: /* the second byte is the return code */
        event.kind = size - header == 2 && !body[1] ? MQTT_CONNECTED : MQTT_CLOSED;
        break;
    case SUBACK: /* 0x80: the subscription failed */
        event.kind = size - header == 3 && body[2] < 128 ? MQTT_SUBSCRIBED : MQTT_CLOSED;
        break;
    case PUBACK:
        c->unacknowledged -= c->unacknowledged > 0;
        break;
    case PUBLISH:
        return message(c, body, size - header);
    default:
        break;
    }
    return event;
}

mqtt_event mqtt_poll(mqtt_client *c, int timeout_ms)
{
    mqtt_event event = {MQTT_CLOSED, NULL, NULL, 0, 0};
    size_t header = 0, size;
    c->filled -= c->used;
    memmove(c->buffer, c->buffer + c->used, c->filled);
    c->used = 0;
    while (!(size = packet_size(c, &header)) || size > c->filled) {
        struct pollfd ready = {c->socket, POLLIN, 0};
        if (size == SIZE_MAX)
            return event;
        if (monotonic_s() > c->sent_at + MQTT_KEEP_ALIVE_S / 2 && !send_header(c, PINGREQ, 0))
            return event;
        if (poll(&ready, 1, timeout_ms) <= 0) {
            if (monotonic_s() < c->received_at + MQTT_KEEP_ALIVE_S)
                event.kind = MQTT_NOTHING;
            return event;
        }
        ssize_t got = recv(c->socket, c->buffer + c->filled, sizeof c->buffer - c->filled, 0);
        if (got <= 0)
            return event;
        c->filled += (size_t)got;
        c->received_at = monotonic_s();
    }
    event = read_packet(c, header, size);
    c->used = size;
    return event;
}

void mqtt_flush(mqtt_client *c, double seconds)
{
    const double end = monotonic_s() + seconds;
    while (c->socket >= 0 && c->unacknowledged && monotonic_s() < end)
        if (mqtt_poll(c, 100).kind == MQTT_CLOSED)
            return;
}

void mqtt_close(mqtt_client *c)
{
    if (c->socket < 0)
        return;
    send_all(c, "\xe0\0", 2); /* DISCONNECT */
    close(c->socket);
    if (c->tls > 0) {
        kill(c->tls, SIGTERM);
        waitpid(c->tls, NULL, 0);
    }
    c->socket = -1;
}
