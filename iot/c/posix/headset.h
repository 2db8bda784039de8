/* A whole headset on a POSIX machine: the kit, an MQTT client, and sound from a file in place of microphones. */
#ifndef HEADSET_H
#define HEADSET_H

#include "../anc.h"
#include "mqtt.h"

#define MAX_DATA (4 * ANC_MAX_TAPS) /* base64 of float16, with room to spare */
#define SHADOW_LIMIT 8192

/* The fields of the desired filter; a delta replaces some of them. */
typedef struct {
    char id[17], sha256[65], data[MAX_DATA];
    size_t data_length;
    uint32_t seq, rate, taps;
} desired_filter;

typedef enum { OFFLINE, CONNECTING, SUBSCRIBING, SYNCING, ONLINE } link_state;

typedef struct {
    char thing[129], environment[33], folder[256];
    uint32_t rate;
    size_t taps, path_taps;
    float path[ANC_MAX_PATH];

    /* Connection. */
    link_state state;
    mqtt_client mqtt;
    mqtt_endpoint endpoint;
    double retry_at, delay_s, asked_at;
    int subscribed;
    uint32_t version; /* of the shadow */

    /* Desired state, and what came of it. */
    char mode[16];
    float intensity;
    bool private_mode, asked_without_control;
    desired_filter wanted;
    anc_filter filters[3]; /* what plays, what played before, what comes next */
    const anc_filter *current;
    uint32_t filter_seq, seq, seq_sent;
    bool has_filter_seq;
    char rejected[17], refused[200];
    uint32_t accepted, reverted, snapshots;
    float attenuation_db, recent_db;
    bool changed; /* a report is due */

    /* Audio. */
    anc_controller controller;
    anc_monitor monitor;
    anc_adaptation adaptation;
    anc_scheduler scheduler;
    anc_recorder recorder;
    anc_microphones microphones;
} headset;

/* shadow.c: connect, apply the desired state, report. */
void link_step(headset *h, int timeout_ms);
void play_wanted(headset *h);
void report(headset *h, const char *repeated, size_t length);
void event(const char *format, ...);

/* store.c: small files in the headset's folder, each replaced as a whole. */
size_t read_text(const char *folder, const char *name, char *out, size_t limit);
bool write_text(const char *folder, const char *name, const char *text, size_t length);
uint32_t next_number(headset *h);
void recover_number(headset *h, uint32_t reported);

/* identity.c: read the answer of `POST /api/devices`. */
bool read_registration(headset *h, const char *file);

#endif
