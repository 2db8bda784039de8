/* Connect with a growing delay, read the whole shadow, apply what is desired, and repeat it in the report. */
#include "backoff.h"
#include "headset.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_S 5
#define SHADOW "$aws/things/%s/shadow/name/anc/%s"

static const char *const SUBSCRIPTIONS[3] = {"update/delta", "get/accepted", "get/rejected"};

/* One line of JSON on the standard output for each event. */
void event(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void topic_of(const headset *h, const char *verb, char *out, size_t limit)
{
    snprintf(out, limit, SHADOW, h->thing, verb);
}

static void disconnect(headset *h)
{
    mqtt_close(&h->mqtt);
    h->state = OFFLINE;
    double wait_s = backoff_next(&h->delay_s);
    h->retry_at = monotonic_s() + wait_s;
    event("{\"event\": \"offline\", \"retry_s\": %.1f}", wait_s);
}

static void ask(headset *h)
{
    char topic[256];
    topic_of(h, "get", topic, sizeof topic);
    h->version = 0;
    h->asked_at = monotonic_s();
    h->state = SYNCING;
    if (!mqtt_publish(&h->mqtt, topic, "{}", 2))
        disconnect(h);
}

static void copy(anc_json value, char *out, size_t limit)
{
    if (value.type == 's' && value.length < limit) {
        memcpy(out, value.text, value.length);
        out[value.length] = 0;
    }
}

static void refuse(headset *h, const char *why)
{
    snprintf(h->refused, sizeof h->refused, "%s", why);
    event("{\"event\": \"refused\", \"reason\": \"%s\"}", why);
}

/* A slot that neither plays nor is about to. */
static anc_filter *free_slot(headset *h)
{
    const anc_controller *c = &h->controller;
    for (size_t i = 0; i < 3; i++) {
        const anc_filter *slot = &h->filters[i];
        if (slot != h->current && slot != c->active.filter && slot != c->previous.filter &&
            !(c->pending && slot == c->next.filter))
            return &h->filters[i];
    }
    return NULL;
}

void play_wanted(headset *h)
{
    bool on = !strcmp(h->mode, "cancel") && !h->asked_without_control;
    anc_controller_play(&h->controller, (anc_active){on ? h->current : NULL, h->intensity});
}

static void apply_filter(headset *h, anc_json f)
{
    desired_filter *w = &h->wanted;
    anc_json data = anc_json_find(f.text, f.length, "data");
    copy(anc_json_find(f.text, f.length, "id"), w->id, sizeof w->id);
    copy(anc_json_find(f.text, f.length, "sha256"), w->sha256, sizeof w->sha256);
    anc_json_uint(anc_json_find(f.text, f.length, "seq"), &w->seq);
    anc_json_uint(anc_json_find(f.text, f.length, "rate"), &w->rate);
    anc_json_uint(anc_json_find(f.text, f.length, "taps"), &w->taps);
    if (data.type == 's' && data.length <= sizeof w->data) {
        memcpy(w->data, data.text, data.length);
        w->data_length = data.length;
    }
    if ((h->has_filter_seq && w->seq <= h->filter_seq) || !strcmp(w->id, h->rejected))
        return;
    anc_filter *slot = h->current && !strcmp(w->id, h->current->id) ? NULL : free_slot(h);
    anc_filter_document document = {w->id, w->data, w->sha256, "f16", 16, w->data_length, 64, 3, w->seq, w->rate, w->taps};
    const char *fault = slot ? anc_filter_decode(slot, &document, h->rate) : NULL;
    if (fault) {
        refuse(h, fault);
        return;
    }
    h->filter_seq = w->seq;
    h->has_filter_seq = true;
    h->rejected[0] = 0;
    if (!slot)
        return;
    h->current = slot;
    h->accepted++;
    h->asked_without_control = false;
    event("{\"event\": \"filter\", \"id\": \"%s\", \"seq\": %u}", slot->id, slot->seq);
}

static void apply_settings(headset *h, anc_json state)
{
    double intensity = 0;
    uint32_t number = 0;
    copy(anc_json_find(state.text, state.length, "mode"), h->mode, sizeof h->mode);
    if (anc_json_number(anc_json_find(state.text, state.length, "intensity"), &intensity) && intensity >= 0 &&
        intensity <= 1)
        h->intensity = (float)intensity;
    anc_json private_mode = anc_json_find(state.text, state.length, "config.private");
    if (private_mode.type == 'b') {
        h->private_mode = private_mode.text[0] == 't';
        write_text(h->folder, "private", h->private_mode ? "1" : "0", 1);
    }
    if (anc_json_number(anc_json_find(state.text, state.length, "config.snapshot_interval_s"), &intensity) &&
        intensity >= 5 && intensity <= 3600)
        h->scheduler.shortest_s = h->scheduler.interval_s = (float)intensity;
    if (anc_json_uint(anc_json_find(state.text, state.length, "without_control"), &number) && number == h->seq_sent &&
        h->controller.active.filter) {
        h->asked_without_control = true;
        anc_scheduler_retry(&h->scheduler);
    }
}

static void apply(headset *h, anc_json state)
{
    anc_json filter = anc_json_find(state.text, state.length, "filter");
    apply_settings(h, state);
    if (filter.type == 'o')
        apply_filter(h, filter);
    play_wanted(h);
    if (state.type == 'o')
        report(h, state.text + 1, state.length - 2);
    else
        report(h, "", 0);
}

/* Report what was desired, as it came, and what became of it. */
void report(headset *h, const char *repeated, size_t length)
{
    static char text[SHADOW_LIMIT + 1024];
    char topic[256];
    const anc_filter *active = h->controller.pending ? h->controller.next.filter : h->controller.active.filter;
    if (length > SHADOW_LIMIT || h->state < SYNCING)
        return;
    int size = snprintf(text, sizeof text,
                        "{\"state\": {\"reported\": {%.*s%s\"seq\": %u, \"active_mode\": \"%s\", \"active_filter\": \"%s\", "
                        "\"attenuation_db\": %.1f, \"reverted\": %u, \"refused\": \"%s\", \"firmware_version\": \"1.0.0\"}}}",
                        (int)length, repeated, length ? ", " : "", h->seq, h->mode, active ? active->id : "",
                        (double)h->attenuation_db, h->reverted, h->refused);
    topic_of(h, "update", topic, sizeof topic);
    h->changed = !mqtt_publish(&h->mqtt, topic, text, (size_t)size);
}

static bool ends_with(const mqtt_event *m, const char *end)
{
    size_t length = strlen(end);
    return m->topic_length >= length && !memcmp(m->topic + m->topic_length - length, end, length);
}

static void handle(headset *h, const mqtt_event *m)
{
    uint32_t version = 0, number = 0;
    anc_json_uint(anc_json_find(m->payload, m->payload_length, "version"), &version);
    if (ends_with(m, "/update/delta") && version > h->version) {
        h->version = version;
        apply(h, anc_json_find(m->payload, m->payload_length, "state"));
    } else if (ends_with(m, "/get/accepted") && version >= h->version) {
        h->version = version;
        if (anc_json_uint(anc_json_find(m->payload, m->payload_length, "state.reported.seq"), &number))
            recover_number(h, number);
        apply(h, anc_json_find(m->payload, m->payload_length, "state.desired"));
    } else if (ends_with(m, "/get/rejected")) {
        anc_json_uint(anc_json_find(m->payload, m->payload_length, "code"), &number);
        if (number != 404)
            return; /* asked again after ANSWER_S */
        report(h, "", 0);
    } else {
        if (ends_with(m, "/get/accepted") && h->state == SYNCING)
            ask(h); /* a newer delta came first */
        return;
    }
    if (h->state == SYNCING && !ends_with(m, "/update/delta")) {
        h->state = ONLINE;
        h->delay_s = 0;
        event("{\"event\": \"online\", \"private\": %s}", h->private_mode ? "true" : "false");
    }
}

static void subscribe_next(headset *h)
{
    char topic[256];
    h->state = SUBSCRIBING;
    if (h->subscribed == 3) {
        ask(h);
        return;
    }
    topic_of(h, SUBSCRIPTIONS[h->subscribed++], topic, sizeof topic);
    if (!mqtt_subscribe(&h->mqtt, topic))
        disconnect(h);
}

void link_step(headset *h, int timeout_ms)
{
    if (h->state == OFFLINE) {
        if (monotonic_s() < h->retry_at)
            return;
        h->state = CONNECTING;
        h->subscribed = 0;
        if (!mqtt_open(&h->mqtt, &h->endpoint, h->thing)) {
            disconnect(h);
            return;
        }
    }
    mqtt_event m = mqtt_poll(&h->mqtt, timeout_ms);
    if (m.kind == MQTT_CLOSED)
        disconnect(h);
    else if (m.kind == MQTT_CONNECTED || m.kind == MQTT_SUBSCRIBED)
        subscribe_next(h);
    else if (m.kind == MQTT_MESSAGE)
        handle(h, &m);
    else if (h->state == SYNCING && monotonic_s() > h->asked_at + ANSWER_S)
        ask(h);
}
