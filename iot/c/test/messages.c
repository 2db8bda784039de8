/* Check messages against docs/vectors, and write snapshots for a reader: `messages FOLDER OUT`. */
#include "../anc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE 16000
#define SAMPLES 16000
#define TAPS 64
#define PATH 8

static int failures;

static void check(bool right, anc_json name, const char *what)
{
    if (right)
        return;
    failures++;
    printf("FAILED %.*s: %s\n", (int)name.length, name.text, what);
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

static void write_file(const char *folder, const char *name, const uint8_t *data, size_t size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file)) {
        printf("cannot write %s\n", path);
        exit(2);
    }
}

/* Undo the escapes of a JSON document inside a JSON string. */
static size_t unescape(anc_json value, char *out, size_t limit)
{
    size_t size = 0;
    for (size_t i = 0; i < value.length && size < limit; i++) {
        char c = value.text[i];
        if (c == '\\')
            c = value.text[++i] == 'n' ? '\n' : value.text[i];
        out[size++] = c;
    }
    return size;
}

static void filter(anc_json vector, anc_json name)
{
    static anc_filter decoded;
    static char text[4096];
    size_t length = unescape(anc_json_find(vector.text, vector.length, "text"), text, sizeof text);
    anc_filter_document document = anc_filter_document_of(text, length);
    const char *refused = anc_filter_decode(&decoded, &document, document.rate);
    anc_json taps = anc_json_find(vector.text, vector.length, "decoded.taps");
    check(!refused == (taps.type == 'a'), name, refused ? refused : "must be refused");
    for (size_t i = 0; taps.type && !refused && i < decoded.taps; i++) {
        double expected = 0;
        anc_json_number(anc_json_element(taps, i), &expected);
        check((double)decoded.w[i] >= expected && (double)decoded.w[i] <= expected, name, "a tap differs");
    }
}

/* Damage a document in every byte, in memory of exactly its size: the sanitizers report what reads beyond it. */
static void damaged(anc_json vector)
{
    static const char *const paths[] = {"", "state.filter.data", "state.desired.config.private", "version", "taps", "x"};
    static char text[8192];
    static anc_filter decoded;
    size_t length = unescape(anc_json_find(vector.text, vector.length, "text"), text, sizeof text);
    for (size_t i = 0; i < 2 * length; i++) {
        size_t size = i < length ? i : length;
        char *exact = malloc(size ? size : 1);
        double number;
        if (!exact)
            exit(2);
        memcpy(exact, text, size);
        if (i >= length)
            exact[i - length] ^= (char)(1 << i % 8);
        for (size_t k = 0; k < sizeof paths / sizeof *paths; k++)
            anc_json_number(anc_json_element(anc_json_find(exact, size, paths[k]), 1), &number);
        anc_filter_document document = anc_filter_document_of(exact, size);
        anc_filter_decode(&decoded, &document, RATE);
        free(exact);
    }
}

static void snapshot(anc_json vector, anc_json name)
{
    static uint8_t out[ANC_PCM_SIZE];
    anc_json hex = anc_json_find(vector.text, vector.length, "hex");
    anc_json rows = anc_json_find(vector.text, vector.length, "decoded.pcm");
    anc_snapshot_header header = {0, 0, NULL};
    anc_frame pcm[16];
    size_t n = 0;
    double gain = 1, x, d;
    anc_json_number(anc_json_find(vector.text, vector.length, "decoded.gain"), &gain);
    if (!rows.type || gain > 0)
        return; /* this headset sends d, at a gain of 0 */
    anc_json_uint(anc_json_find(vector.text, vector.length, "decoded.seq"), &header.seq);
    anc_json_uint(anc_json_find(vector.text, vector.length, "decoded.rate"), &header.rate);
    for (anc_json row; n < 16 && (row = anc_json_element(rows, n)).type; n++) {
        if (!anc_json_number(anc_json_element(row, 0), &x) || !anc_json_number(anc_json_element(row, 1), &d))
            break;
        pcm[n] = (anc_frame){(int16_t)x, (int16_t)d};
    }
    size_t size = anc_snapshot_pcm(&header, pcm, n, out);
    check(hex.length == 2 * size, name, "size");
    for (size_t i = 0; i < size && 2 * i < hex.length; i++) {
        char digits[3];
        snprintf(digits, sizeof digits, "%02x", out[i]);
        check(!memcmp(digits, hex.text + 2 * i, 2), name, "a byte differs");
    }
}

static void write_snapshots(const char *folder, const char *out)
{
    static anc_recorder recorder;
    static anc_statistics_work statistics;
    static anc_summary_work summary;
    static anc_frame recorded[SAMPLES], pcm[SAMPLES];
    static uint8_t message[ANC_PCM_SIZE];
    static float secondary[PATH], x[SAMPLES], d[SAMPLES];
    const anc_json name = {"recorder", 8, 's'};
    read_file(folder, "secondary.f32", secondary, sizeof secondary);
    read_file(folder, "signal.s16", recorded, sizeof recorded);
    for (size_t i = 0; i < SAMPLES; i++) {
        x[i] = (float)recorded[i].x / 32768;
        d[i] = (float)recorded[i].d / 32768;
    }
    anc_recorder_init(&recorder);
    for (size_t i = 0; i < SAMPLES; i += 320)
        anc_recorder_process(&recorder, x + i, d + i, d + i, 320);
    check(anc_recorder_pcm(&recorder, pcm, SAMPLES) <= 0, name, "nothing is clipped");
    check(!memcmp(pcm, recorded, sizeof pcm), name, "the samples are those that were recorded");
    anc_snapshot_header header = {1, RATE, NULL};
    write_file(out, "pcm.bin", message, anc_snapshot_pcm(&header, pcm, SAMPLES, message));
    size_t size = anc_snapshot_private(&header, pcm, SAMPLES, secondary, PATH, TAPS, &statistics, &summary, message);
    write_file(out, "private.bin", message, size);
    for (size_t i = 0; i < 320; i++)
        x[i] = d[i] = i % 4 ? 0.25f : 1;
    anc_recorder_process(&recorder, x, d, d, 320);
    float share = anc_recorder_pcm(&recorder, pcm, 320);
    check(share > 0.24f && share < 0.26f && pcm[0].x == INT16_MAX && pcm[1].x == 8192, name, "clipped samples");
    for (size_t i = 0; i < 320; i++)
        d[i] = 2;
    anc_recorder_process(&recorder, x, x + 1, d, 320);
    anc_recorder_pcm(&recorder, pcm, 320);
    check(pcm[1].d == INT16_MAX && pcm[1].x == 4096, name, "both channels are attenuated");
}

int main(int count, char **arguments)
{
    static char document[262144];
    if (count != 3) {
        printf("usage: messages FOLDER OUT\n");
        return 2;
    }
    size_t length = read_file(arguments[1], "messages.json", document, sizeof document), tested = 0;
    anc_json list = anc_json_find(document, length, ""), vector;
    for (; (vector = anc_json_element(list, tested)).type; tested++) {
        anc_json kind = anc_json_find(vector.text, vector.length, "message");
        anc_json name = anc_json_find(vector.text, vector.length, "name");
        if (anc_json_equals(kind, "filter"))
            filter(vector, name);
        if (anc_json_equals(kind, "snapshot"))
            snapshot(vector, name);
        else
            damaged(vector);
    }
    write_snapshots(arguments[1], arguments[2]);
    printf(failures ? "%d failures\n" : "all messages agree\n", failures);
    return failures || !tested;
}
