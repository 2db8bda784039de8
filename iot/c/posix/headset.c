/* headset REGISTRATION.json FOLDER SOUND.s16 PATH.f32 [SECONDS]
 *
 * REGISTRATION.json is the answer of `POST /api/devices`, FOLDER the headset's storage. SOUND.s16 has x and d, interleaved int16, and
 * is repeated; PATH.f32 is the registered path, float32, which is also the path of this simulated head. The sound stands still
 * while the headset connects and from a snapshot until the first filter, and is else played as fast as possible. After
 * SECONDS (2) of sound with a filter the program ends. Exit code 0: a filter was kept. Privacy mode is set in the shadow.
 */
#include "backoff.h"
#include "headset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK (ANC_MAX_BLOCK / 2)
#define MAX_SOUND (60 * ANC_MAX_RATE)
#define INTERVAL_S 15
#define REPORT_S 3600
#define FLUSH_S 10
#define DROP_DB 5.0f
#define DECAY_DB 0.25f
#define MAX_CLIPPED 0.01f

static headset h;
static anc_frame sound[MAX_SOUND], pcm[ANC_MAX_SNAPSHOT];
static anc_statistics_work statistics;
static anc_summary_work summary;
static uint8_t message[ANC_PCM_SIZE];
static size_t sound_length, position;
static anc_path plant;

/* The topic of a rule of this deployment (Basic Ingest): no other rule gets the message. */
static void rule_topic(char *topic, size_t size, const char *kind)
{
    snprintf(topic, size, "$aws/rules/anc_%s%s%s/anc/%s/%s", kind, h.environment[0] ? "_" : "", h.environment, h.thing, kind);
}

static void telemetry(void)
{
    static uint32_t line, run;
    char topic[300], text[200];
    if (!line)
        run = (uint32_t)rand();
    rule_topic(topic, sizeof topic, "telemetry");
    int size = snprintf(text, sizeof text,
                        "{\"attenuation_db\": %.1f, \"mode\": \"%s\", \"firmware\": \"1.0.0\", \"filters\": %u, "
                        "\"reverted\": %u, \"run\": %u, \"line\": %u}",
                        (double)h.attenuation_db, h.mode, h.accepted, h.reverted, run, line++);
    mqtt_publish(&h.mqtt, topic, text, (size_t)size);
}

static void send_snapshot(size_t samples)
{
    char topic[300];
    const anc_filter *playing = h.controller.active.filter;
    if (h.state != ONLINE || (h.asked_without_control && playing))
        return;
    if (h.asked_without_control) {
        h.asked_without_control = false;
        play_wanted(&h);
    }
    float clipped = anc_recorder_pcm(&h.recorder, pcm, samples);
    anc_scheduler_sent(&h.scheduler, samples);
    if (clipped > MAX_CLIPPED) {
        snprintf(h.refused, sizeof h.refused, "snapshot: too many samples are clipped");
        return;
    }
    anc_snapshot_header header = {next_number(&h), h.rate, playing};
    size_t size = h.private_mode ? anc_snapshot_private(&header, pcm, samples, h.path, h.path_taps, h.taps, &statistics,
                                                        &summary, message)
                                 : anc_snapshot_pcm(&header, pcm, samples, message);
    rule_topic(topic, sizeof topic, "snapshot");
    if (!size || !mqtt_publish(&h.mqtt, topic, message, size))
        return;
    h.seq_sent = header.seq;
    h.snapshots++;
    h.recent_db = 0;
    event("{\"event\": \"snapshot\", \"seq\": %u, \"kind\": %d, \"samples\": %zu, \"bytes\": %zu}", header.seq,
          h.private_mode ? 2 : 1, samples, size);
}

static void judge(anc_evaluation found)
{
    bool plays = h.controller.active.filter && h.controller.active.filter == h.current;
    h.attenuation_db = h.controller.active.filter ? found.attenuation_db : 0;
    h.recent_db = fmaxf(h.recent_db - DECAY_DB, found.attenuation_db);
    if (found.attenuation_db < h.recent_db - DROP_DB)
        anc_change_mark(&h.scheduler.change);
    if (!plays || found.verdict == ANC_KEEP)
        return;
    memcpy(h.rejected, h.current->id, sizeof h.rejected);
    event("{\"event\": \"reverted\", \"id\": \"%s\"}", h.rejected);
    h.current = found.verdict == ANC_PREVIOUS ? h.monitor.previous.filter : NULL;
    h.reverted++;
    h.changed = true;
    play_wanted(&h);
}

static void check_microphones(anc_microphone_fault fault)
{
    static const char *const names[] = {"", "reference", "error"};
    char why[sizeof h.refused];
    if (fault == ANC_BOTH_WORK)
        return;
    snprintf(why, sizeof why, "microphone: the %s microphone delivers no sound; check its connection", names[fault]);
    if (!strcmp(why, h.refused))
        return; /* reported once */
    strcpy(h.refused, why);
    h.changed = true;
    event("{\"event\": \"refused\", \"reason\": \"%s\"}", why);
}

/* One block of sound through the simulated head. Return whether a filter played at full gain during all of it. */
static bool play_block(void)
{
    float x[BLOCK], d[BLOCK], y[BLOCK], e[BLOCK], heard[BLOCK], estimated[BLOCK];
    anc_evaluation found;
    for (size_t i = 0; i < BLOCK; i++) {
        anc_frame frame = sound[position++ % sound_length];
        x[i] = (float)frame.x / 32768;
        d[i] = (float)frame.d / 32768;
    }
    if (anc_controller_process(&h.controller, x, y, BLOCK))
        anc_adaptation_start(&h.adaptation, &h.controller);
    anc_path_process(&plant, h.path, h.path_taps, y, heard, BLOCK);
    for (size_t i = 0; i < BLOCK; i++)
        e[i] = d[i] - heard[i];
    if (anc_monitor_process(&h.monitor, &h.controller, x, e, y, estimated, BLOCK, &found))
        judge(found);
    check_microphones(anc_microphones_process(&h.microphones, x, e, BLOCK));
    anc_recorder_process(&h.recorder, x, e, estimated, BLOCK);
    anc_scheduler_process(&h.scheduler, x, BLOCK, h.controller.steady);
    anc_adaptation_process(&h.adaptation, &h.controller, x, e, y, BLOCK);
    return h.controller.steady && h.controller.active.filter;
}

static bool load(char **arguments)
{
    char stored[16] = "";
    snprintf(h.folder, sizeof h.folder, "%s", arguments[2]);
    if (!read_registration(&h, arguments[1])) {
        fprintf(stderr, "%s: not the answer of a registration for this build, or FOLDER cannot be written\n", arguments[1]);
        return false;
    }
    const char *root = arguments[3][0] == '/' ? "/" : ".";
    sound_length = read_text(root, arguments[3], (char *)sound, sizeof sound) / sizeof *sound;
    root = arguments[4][0] == '/' ? "/" : ".";
    h.path_taps = read_text(root, arguments[4], (char *)h.path, sizeof h.path) / sizeof *h.path;
    if (!sound_length || !h.path_taps) {
        fprintf(stderr, "%s or %s: cannot be read\n", arguments[3], arguments[4]);
        return false;
    }
    if (read_text(h.folder, "sequence", stored, sizeof stored - 1))
        h.seq = (uint32_t)strtoul(stored, NULL, 10);
    h.private_mode = read_text(h.folder, "private", stored, 1) == 1 && stored[0] == '1';
    return true;
}

int main(int count, char **arguments)
{
    if (count < 5) {
        fprintf(stderr, "usage: headset REGISTRATION.json FOLDER SOUND.s16 PATH.f32 [SECONDS]\n");
        return 2;
    }
    if (!load(arguments))
        return 2;
    double seconds = count > 5 ? strtod(arguments[5], NULL) : 2;
    backoff_seed(h.thing);
    snprintf(h.mode, sizeof h.mode, "cancel");
    h.intensity = 1;
    anc_controller_init(&h.controller, h.rate);
    anc_monitor_init(&h.monitor, h.path, h.path_taps, h.rate);
    anc_adaptation_init(&h.adaptation, h.path, h.path_taps, h.rate);
    anc_scheduler_init(&h.scheduler, h.rate, INTERVAL_S);
    anc_recorder_init(&h.recorder);
    anc_microphones_init(&h.microphones, h.rate);
    uint64_t with_filter = 0, reported = 0, reported_line = 0;
    while ((double)with_filter < seconds * h.rate) {
        bool waits = h.state != ONLINE || (h.snapshots && !h.accepted);
        link_step(&h, waits ? 100 : 0);
        if (waits)
            continue;
        with_filter += play_block() ? BLOCK : 0;
        size_t samples = anc_scheduler_due(&h.scheduler);
        if (samples)
            send_snapshot(samples);
        if (h.changed || h.scheduler.change.elapsed > reported + (uint64_t)REPORT_S * h.rate) {
            report(&h, "", 0);
            reported = h.scheduler.change.elapsed;
        }
        if (h.accepted && !reported_line++)
            telemetry();
    }
    event("{\"event\": \"done\", \"snapshots\": %u, \"filters\": %u, \"reverted\": %u, \"attenuation_db\": %.1f}", h.snapshots,
          h.accepted, h.reverted, (double)h.attenuation_db);
    report(&h, "", 0);
    mqtt_flush(&h.mqtt, FLUSH_S);
    mqtt_close(&h.mqtt);
    return h.accepted && h.attenuation_db > 3 ? 0 : 1;
}
