/* Sufficient statistics of a noise, and where it begins. */
#include "../anc.h"
#include "bytes.h"

#include <math.h>

#define PI 3.14159265358979323846
#define PARTS 32
#define FULL_SCALE 32768.0f

size_t anc_onset(const anc_frame *pcm, size_t n)
{
    size_t part = n / PARTS;
    double power[PARTS], last = 0;
    if (!part)
        return 0;
    for (size_t i = 0; i < PARTS; i++) {
        power[i] = 0;
        for (size_t j = 0; j < part; j++)
            power[i] += (double)pcm[i * part + j].x * pcm[i * part + j].x;
        if (i >= PARTS * 3 / 4)
            last += power[i] / (PARTS / 4);
    }
    size_t start = 0;
    while (start < PARTS * 3 / 4 && power[start] < last / 10)
        start++;
    return part * start;
}

/* A second-order high-pass, transposed direct form II; doubles because the corner is far below the sample rate. */
typedef struct {
    double b, a1, a2, z1, z2;
} high_pass;

static high_pass butterworth(double corner, double rate)
{
    double k = tan(PI * corner / rate), scale = 1 / (1 + sqrt(2.0) * k + k * k);
    return (high_pass){scale, 2 * (k * k - 1) * scale, (1 - sqrt(2.0) * k + k * k) * scale, 0, 0};
}

static float filter(high_pass *f, double x)
{
    double y = f->b * x + f->z1;
    f->z1 = -2 * f->b * x - f->a1 * y + f->z2;
    f->z2 = f->b * x - f->a2 * y;
    return (float)y;
}

static double taper(size_t i, size_t n)
{
    size_t edge = n / 8, from_edge = i < n - 1 - i ? i : n - 1 - i;
    if (from_edge >= edge)
        return 1;
    double s = sin(PI / 2 * ((double)from_edge + 0.5) / (double)edge);
    return s * s;
}

static double filtered_reference(const anc_frame *pcm, size_t i, const float *s, size_t m)
{
    float v = 0;
    for (size_t k = 0; k < m && k <= i; k++)
        v += s[k] * (float)pcm[i - k].x;
    return (double)(v / FULL_SCALE);
}

static uint32_t crc32(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static size_t encode(uint8_t *out, const anc_statistics_work *work, size_t taps, double energy, double samples, double rate)
{
    uint8_t *at = out;
    memcpy(at, "ANCF\1stats\0\0\0\3\2", 15);
    at = anc_put_double(at + 15, energy);
    at = anc_put_double(at, samples);
    at = anc_put_double(at, rate);
    for (int vector = 0; vector < 2; vector++) {
        at = anc_put(at, 4, 1);
        at = anc_put(at, taps, 4);
        for (size_t k = 0; k < taps; k++)
            at = anc_put_float(at, vector ? work->p[k] : work->r[k]);
    }
    at = anc_put(at, crc32(out, (size_t)(at - out)), 4);
    return (size_t)(at - out);
}

size_t anc_statistics_write(const anc_frame *pcm, size_t n, uint32_t rate, const float *s, size_t m, size_t taps,
                            anc_statistics_work *work, uint8_t *out)
{
    double corner = fmax(20, 6.5 * rate / (double)n), energy = 0, samples = 0;
    high_pass of_v = butterworth(corner, rate), of_d = of_v;
    size_t decay = (size_t)(3 * rate / corner), newest = 0;
    memset(work, 0, sizeof *work);
    for (size_t i = 0; i < n + decay; i++) {
        double w = i < n ? taper(i, n) : 0, v = 0, d = 0;
        if (i < n) {
            v = w * filtered_reference(pcm, i, s, m);
            d = w * pcm[i].d / (double)FULL_SCALE;
        }
        /* The past of v is stored twice, so that it is contiguous, the newest sample first. */
        newest = (newest + taps - 1) % taps;
        float now = filter(&of_v, v), of_ear = filter(&of_d, d);
        work->v[newest] = work->v[newest + taps] = now;
        for (size_t k = 0; k < taps; k++) {
            work->r[k] += now * work->v[newest + k];
            work->p[k] += of_ear * work->v[newest + k];
        }
        energy += (double)of_ear * (double)of_ear;
        samples += w * w;
    }
    return encode(out, work, taps, energy, samples, rate);
}
