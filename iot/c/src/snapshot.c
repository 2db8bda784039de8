/* Record both microphones, and write snapshots of them. */
#include "../anc.h"
#include "bytes.h"

#include <math.h>

#define CLIPPED (32767.0f / 32768.0f)

void anc_recorder_init(anc_recorder *r) { memset(r, 0, sizeof *r); }

void anc_recorder_process(anc_recorder *r, const float *x, const float *e, const float *d, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float *sample = r->ring[r->next];
        sample[0] = fabsf(x[i]) >= CLIPPED ? copysignf(HUGE_VALF, x[i]) : x[i];
        sample[1] = fabsf(e[i]) >= CLIPPED ? copysignf(HUGE_VALF, d[i]) : d[i];
        r->next = (r->next + 1) % ANC_MAX_SNAPSHOT;
    }
    r->length = r->length + n < ANC_MAX_SNAPSHOT ? r->length + n : ANC_MAX_SNAPSHOT;
}

static int16_t to_int16(float value, float peak)
{
    if (!isfinite(value))
        return value > 0 ? INT16_MAX : INT16_MIN;
    return (int16_t)fminf(rintf(value / peak * 32768), 32767);
}

float anc_recorder_pcm(const anc_recorder *r, anc_frame *out, size_t n)
{
    float peak = 1;
    size_t clipped = 0, first = (r->next + ANC_MAX_SNAPSHOT - n) % ANC_MAX_SNAPSHOT;
    for (size_t i = 0; i < n; i++)
        for (size_t channel = 0; channel < 2; channel++) {
            float value = fabsf(r->ring[(first + i) % ANC_MAX_SNAPSHOT][channel]);
            if (isfinite(value))
                peak = fmaxf(peak, value);
        }
    for (size_t i = 0; i < n; i++) {
        const float *sample = r->ring[(first + i) % ANC_MAX_SNAPSHOT];
        out[i].x = to_int16(sample[0], peak);
        out[i].d = to_int16(sample[1], peak);
        clipped += (size_t)(out[i].x == INT16_MAX || out[i].x <= -INT16_MAX) +
                   (size_t)(out[i].d == INT16_MAX || out[i].d <= -INT16_MAX);
    }
    return n ? (float)clipped / (float)(2 * n) : 0;
}

static unsigned hex_digit(char c) { return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10); }

void anc_snapshot_header_write(const anc_snapshot_header *h, bool statistics, size_t samples, uint8_t *out)
{
    memcpy(out, "ANC1", 4);
    out = anc_put(out + 4, 1, 1);
    out = anc_put(out, statistics ? 2 : 1, 1);
    out = anc_put(out, statistics ? 0 : 2, 2);
    out = anc_put(out, h->seq, 4);
    out = anc_put(out, h->rate, 4);
    out = anc_put(out, samples, 4);
    for (size_t i = 0; i < 8; i++)
        *out++ = h->filter ? (uint8_t)(hex_digit(h->filter->id[2 * i]) << 4 | hex_digit(h->filter->id[2 * i + 1])) : 0;
    anc_put_float(out, 0);
}

size_t anc_snapshot_pcm(const anc_snapshot_header *h, const anc_frame *pcm, size_t n, uint8_t *out)
{
    uint8_t *at = out + ANC_HEADER_SIZE;
    for (size_t i = 0; i < n; i++) {
        at = anc_put(at, (uint16_t)pcm[i].x, 2);
        at = anc_put(at, (uint16_t)pcm[i].d, 2);
    }
    anc_snapshot_header_write(h, false, n, out);
    return (size_t)(at - out);
}

size_t anc_snapshot_private(const anc_snapshot_header *h, const anc_frame *pcm, size_t n, const float *s, size_t m,
                            size_t taps, anc_statistics_work *statistics, anc_summary_work *summary, uint8_t *out)
{
    size_t start = anc_onset(pcm, n);
    if (n - start <= taps || n < h->rate / 4)
        return 0;
    uint8_t *at = out + ANC_HEADER_SIZE + 4;
    size_t size = anc_statistics_write(pcm + start, n - start, h->rate, s, m, taps, statistics, at);
    anc_put(out + ANC_HEADER_SIZE, size, 4);
    at += size;
    at += anc_summary_write(pcm + start, n - start, n, h->rate, summary, at);
    anc_snapshot_header_write(h, true, n, out);
    return (size_t)(at - out);
}
