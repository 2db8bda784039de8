/* Check this implementation against docs/vectors: `vectors FOLDER`. Every line that fails says what was expected. */
#include "../anc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE 16000
#define SAMPLES 16000
#define QUIET 2000
#define BLOCK 320
#define TAPS 64
#define PATH 8

static int failures;
static char document[65536];
static size_t document_length;
static anc_frame pcm[SAMPLES];
static float secondary[PATH], x[SAMPLES], d[SAMPLES];
static anc_filter good, bad;

static void check(bool right, const char *what, double expected, double got)
{
    if (right)
        return;
    failures++;
    printf("FAILED %s: expected %g, got %g\n", what, expected, got);
}

static void near(const char *what, double expected, double got, double tolerance)
{
    check(fabs(expected - got) <= tolerance, what, expected, got);
}

static size_t read_file(const char *folder, const char *name, void *out, size_t limit)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(out, 1, limit, file) : 0;
    if (!size) {
        printf("cannot read %s\n", path);
        exit(2);
    }
    fclose(file);
    return size;
}

static double number(const char *path)
{
    double value = (double)NAN;
    if (!anc_json_number(anc_json_find(document, document_length, path), &value))
        check(false, path, 0, (double)NAN);
    return value;
}

/* Return the next value behind an opening bracket or a comma of an array, and move `at` behind it. */
static double next(const char **at)
{
    while (**at && !strchr("-0123456789", **at))
        (*at)++;
    double value = strtod(*at, NULL);
    *at += strspn(*at, "-+.0123456789eE");
    return value;
}

static void near_all(const char *what, const float *expected, const float *got, size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++)
        near(what, (double)expected[i], (double)got[i], tolerance);
}

static void load(const char *folder)
{
    document_length = read_file(folder, "dsp.json", document, sizeof document);
    read_file(folder, "signal.s16", pcm, sizeof pcm);
    read_file(folder, "secondary.f32", secondary, sizeof secondary);
    for (size_t i = 0; i < SAMPLES; i++) {
        x[i] = (float)pcm[i].x / 32768;
        d[i] = (float)pcm[i].d / 32768;
    }
}

static float float_at(const uint8_t *bytes)
{
    float value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static void statistics(const char *folder)
{
    static anc_statistics_work work;
    static uint8_t out[ANC_STATISTICS_SIZE(TAPS)];
    static float r[TAPS], p[TAPS], got[TAPS];
    double energy, samples;
    size_t start = anc_onset(pcm, SAMPLES);
    near("onset", number("onset"), (double)start, 0);
    read_file(folder, "autocorrelation.f32", r, sizeof r);
    read_file(folder, "crosscorrelation.f32", p, sizeof p);
    size_t size = anc_statistics_write(pcm + start, SAMPLES - start, RATE, secondary, PATH, TAPS, &work, out);
    near("statistics, size", ANC_STATISTICS_SIZE(TAPS), (double)size, 0);
    memcpy(&energy, out + 15, 8);
    memcpy(&samples, out + 23, 8);
    near("energy", number("statistics.energy"), energy, 1e-4 * energy);
    near("samples", number("statistics.samples"), samples, 1e-6 * samples);
    for (size_t k = 0; k < TAPS; k++)
        got[k] = float_at(out + 44 + 4 * k);
    near_all("autocorrelation", r, got, TAPS, 1e-4 * (double)r[0]);
    for (size_t k = 0; k < TAPS; k++)
        got[k] = float_at(out + 49 + 4 * TAPS + 4 * k);
    near_all("crosscorrelation", p, got, TAPS, 1e-4 * sqrt((double)r[0] * energy));
}

static void summary(const char *folder)
{
    static anc_summary_work work;
    static uint8_t out[ANC_SUMMARY_SIZE], expected[ANC_COLUMNS * ANC_BANDS];
    size_t start = anc_onset(pcm, SAMPLES), size = read_file(folder, "summary.u8", expected, sizeof expected);
    size_t written = anc_summary_write(pcm + start, SAMPLES - start, SAMPLES, RATE, &work, out), different = 0;
    near("summary, size", (double)size + 11, (double)written, 0);
    for (size_t i = 0; i < size; i++) {
        near("summary", expected[i], out[7 + i], 1);
        different += expected[i] != out[7 + i];
    }
    check(different * 50 <= size, "summary, different bytes", (double)size / 50, (double)different);
}

static void filters(const char *folder)
{
    static float design[TAPS];
    anc_json list = anc_json_find(document, document_length, "filters");
    anc_json first = anc_json_element(list, 0), second = anc_json_element(list, 1);
    anc_filter_document a = anc_filter_document_of(first.text, first.length);
    anc_filter_document b = anc_filter_document_of(second.text, second.length);
    read_file(folder, "design.f32", design, sizeof design);
    check(!anc_filter_decode(&good, &a, RATE), "the first filter is valid", 0, 1);
    check(!anc_filter_decode(&bad, &b, RATE), "the second filter is valid", 0, 1);
    check(good.seq == 1 && good.taps == TAPS && !memcmp(good.id, a.id, 16), "fields of the filter", 0, 1);
    near_all("taps", design, good.w, TAPS, 1e-3);
    static anc_filter other;
    check(anc_filter_decode(&other, &a, 48000) != NULL, "another rate is refused", 1, 0);
    anc_filter_document c = a;
    c.data = b.data;
    check(anc_filter_decode(&other, &c, RATE) != NULL, "another hash is refused", 1, 0);
    c = a;
    c.taps = TAPS - 1;
    check(anc_filter_decode(&other, &c, RATE) != NULL, "another length is refused", 1, 0);
}

static void control(const char *folder)
{
    static anc_controller c;
    static anc_monitor monitor;
    static anc_path path;
    static float expected[SAMPLES / 16], y[SAMPLES], e[BLOCK], heard[BLOCK], ear[BLOCK];
    anc_json list = anc_json_find(document, document_length, "monitor.evaluations");
    const char *at = list.text, *end = list.text + list.length;
    size_t played_at = (size_t)number("monitor.played_at"), replaced_at = (size_t)number("monitor.replaced_at");
    read_file(folder, "control.f32", expected, sizeof expected);
    anc_controller_init(&c, RATE);
    anc_monitor_init(&monitor, secondary, PATH, RATE);
    for (size_t k = 0; k < SAMPLES / BLOCK; k++) {
        float *of_block = y + k * BLOCK;
        anc_evaluation found;
        if (k == played_at || k == replaced_at)
            anc_controller_play(&c, (anc_active){k == played_at ? &good : &bad, 1});
        anc_controller_process(&c, x + k * BLOCK, of_block, BLOCK);
        anc_path_process(&path, secondary, PATH, of_block, heard, BLOCK);
        for (size_t i = 0; i < BLOCK; i++)
            e[i] = d[k * BLOCK + i] - heard[i];
        if (!anc_monitor_process(&monitor, &c, x + k * BLOCK, e, of_block, ear, BLOCK, &found))
            continue;
        near("evaluation, block", next(&at), (double)k, 0);
        near("evaluation, attenuation", next(&at), (double)found.attenuation_db, 0.1);
        const char *verdict = found.verdict == ANC_KEEP ? "keep" : found.verdict == ANC_NONE ? "none" : "previous";
        at = strchr(at, '"') + 1;
        check(!strncmp(at, verdict, strlen(verdict)), "evaluation, verdict", 0, (double)found.verdict);
        at += strlen(verdict) + 1;
    }
    check(at < end && !memchr(at, '"', (size_t)(end - at)), "all evaluations", 0, 1);
    for (size_t i = 0; i < SAMPLES / 16; i++)
        near("control", (double)expected[i], (double)y[16 * i], 1e-4);
}

static void adaptation(const char *folder)
{
    static anc_controller c;
    static anc_adaptation a;
    static anc_path path;
    static float expected[TAPS], y[BLOCK], e[BLOCK], heard[BLOCK], actual[PATH];
    double norm = 0, difference = 0;
    read_file(folder, "adaptation.f32", expected, sizeof expected);
    for (size_t k = 0; k < PATH; k++)
        actual[k] = 1.25f * secondary[k];
    anc_controller_init(&c, RATE);
    anc_adaptation_init(&a, secondary, PATH, RATE);
    anc_controller_play(&c, (anc_active){&good, 1});
    for (size_t k = 0; k < SAMPLES / BLOCK; k++) {
        if (anc_controller_process(&c, x + k * BLOCK, y, BLOCK))
            anc_adaptation_start(&a, &c);
        anc_path_process(&path, actual, PATH, y, heard, BLOCK);
        for (size_t i = 0; i < BLOCK; i++)
            e[i] = d[k * BLOCK + i] - heard[i];
        anc_adaptation_process(&a, &c, x + k * BLOCK, e, y, BLOCK);
    }
    for (size_t k = 0; k < TAPS; k++) {
        norm += (double)(expected[k] * expected[k]);
        difference += pow((double)(expected[k] - c.w[k]), 2);
    }
    near("adaptation", 0, sqrt(difference / norm), 1e-3);
}

/* x, four times without its quiet start, then four times its difference, then x again. */
static float scheduled(size_t i)
{
    size_t steady = SAMPLES - QUIET;
    if (i < SAMPLES)
        return x[i];
    if (i < SAMPLES + 4 * steady)
        return x[QUIET + (i - SAMPLES) % steady];
    if (i >= SAMPLES + 4 * steady + 4 * (steady - 1))
        return x[QUIET + (i - SAMPLES - 4 * steady - 4 * (steady - 1)) % steady];
    i = QUIET + (i - SAMPLES - 4 * steady) % (steady - 1);
    return x[i + 1] - x[i];
}

static void schedule(void)
{
    static anc_scheduler s;
    float block[BLOCK];
    const char *at = anc_json_find(document, document_length, "scheduler.snapshots").text;
    const char *end = at + anc_json_find(document, document_length, "scheduler.snapshots").length;
    size_t blocks = (SAMPLES + 8 * (SAMPLES - QUIET) + 4 * (SAMPLES - QUIET - 1)) / BLOCK;
    anc_scheduler_init(&s, RATE, (float)number("scheduler.interval_s"));
    s.backs_off = true;
    for (size_t k = 0; k < blocks; k++) {
        for (size_t i = 0; i < BLOCK; i++)
            block[i] = scheduled(k * BLOCK + i);
        anc_scheduler_process(&s, block, BLOCK, true);
        size_t samples = anc_scheduler_due(&s);
        if (!samples)
            continue;
        near("snapshot, block", next(&at), (double)k, 4);
        near("snapshot, samples", next(&at), (double)samples, 0);
        anc_scheduler_sent(&s, samples);
    }
    check(at < end && !memchr(at, ',', (size_t)(end - at)), "all snapshots", 0, 1);
}

static void microphones(void)
{
    static float silent[SAMPLES], constant[SAMPLES];
    anc_microphones m;
    for (size_t i = 0; i < SAMPLES; i++)
        constant[i] = 0.25f;
    const float *channels[][2] = {{x, x}, {silent, constant}, {constant, x}, {x, silent}, {x, x}};
    const anc_microphone_fault faults[] = {ANC_BOTH_WORK, ANC_BOTH_WORK, ANC_REFERENCE_DEAD, ANC_ERROR_DEAD, ANC_BOTH_WORK};
    anc_microphones_init(&m, SAMPLES);
    for (size_t k = 0; k < sizeof faults / sizeof *faults; k++) {
        near("microphones, before the end", ANC_BOTH_WORK, anc_microphones_process(&m, channels[k][0], channels[k][1], 9), 0);
        near("microphones", faults[k], anc_microphones_process(&m, channels[k][0] + 9, channels[k][1] + 9, SAMPLES - 9), 0);
    }
}

int main(int count, char **arguments)
{
    if (count != 2) {
        printf("usage: vectors FOLDER\n");
        return 2;
    }
    load(arguments[1]);
    statistics(arguments[1]);
    summary(arguments[1]);
    filters(arguments[1]);
    control(arguments[1]);
    adaptation(arguments[1]);
    schedule();
    microphones();
    printf(failures ? "%d failures\n" : "all vectors agree\n", failures);
    return failures != 0;
}
