/* The log-mel summary of a noise, as a zlib stream of stored blocks. */
#include "../anc.h"
#include "bytes.h"

#include <math.h>

#define PI 3.14159265358979323846
#define MIN_HZ 50.0
#define MAX_HZ 8000.0
#define RANGE_DB 70

static double mel(double hz) { return 2595 * log10(1 + hz / 700); }

static size_t last_bin(uint32_t rate, size_t length)
{
    uint64_t highest = rate / 2 < 8000 ? rate / 2 : 8000;
    return (size_t)(highest * length / rate);
}

/* The weight of a frequency in a band. */
static float weight(const anc_summary_work *work, size_t band, float hz)
{
    const float *edge = work->edges + band;
    float rising = (hz - edge[0]) / (edge[1] - edge[0]), falling = (edge[2] - hz) / (edge[2] - edge[1]);
    return fmaxf(fminf(rising, falling), 0);
}

static float bin_hz(size_t bin, uint32_t rate, size_t length) { return (float)bin * (float)rate / (float)length; }

static void prepare(anc_summary_work *work, uint32_t rate, size_t length)
{
    double lowest = mel(MIN_HZ), step = (mel(MAX_HZ) - lowest) / (ANC_BANDS + 1), window = 0;
    for (size_t i = 0; i < ANC_BANDS + 2; i++)
        work->edges[i] = (float)(700 * (pow(10, (lowest + step * (double)i) / 2595) - 1));
    for (size_t i = 0; i < length; i++) {
        double angle = 2 * PI * (double)i / (double)length;
        work->cosine[i] = (float)cos(angle);
        work->sine[i] = (float)sin(angle);
        window += pow(0.5 - 0.5 * cos(angle), 2);
    }
    for (size_t band = 0; band < ANC_BANDS; band++) {
        float sum = 0;
        for (size_t bin = 0; bin <= last_bin(rate, length); bin++)
            sum += weight(work, band, bin_hz(bin, rate, length));
        bool whole = work->edges[band + 2] <= (float)rate / 2 + 1;
        work->weights[band] = whole ? (float)(2 / (rate * window)) / fmaxf(sum, 1e-9f) : 0;
    }
}

static float bin_power(const anc_summary_work *work, size_t bin, size_t length)
{
    float re = 0, im = 0;
    for (size_t i = 0, angle = 0; i < length; i++) {
        re += work->column[i] * work->cosine[angle];
        im += work->column[i] * work->sine[angle];
        angle += bin;
        if (angle >= length)
            angle -= length;
    }
    return re * re + im * im;
}

static void bands_of_column(anc_summary_work *work, uint32_t rate, size_t length, uint8_t *bytes)
{
    size_t first = 0; /* the first band that the bin may belong to; a frequency is in two bands at most */
    memset(work->density, 0, sizeof work->density);
    for (size_t bin = 1; bin <= last_bin(rate, length); bin++) {
        float hz = bin_hz(bin, rate, length);
        while (first < ANC_BANDS && work->edges[first + 2] <= hz)
            first++;
        if (first == ANC_BANDS || work->edges[first] >= hz)
            continue;
        float power = bin_power(work, bin, length);
        for (size_t band = first; band < ANC_BANDS && band < first + 2; band++)
            work->density[band] += power * weight(work, band, hz) * work->weights[band];
    }
    for (size_t band = 0; band < ANC_BANDS; band++) {
        float db = rintf(10 * log10f(work->density[band] + 1e-14f) + 140);
        bytes[band] = (uint8_t)fmaxf(fminf(db, 255), 0);
    }
}

static size_t store(const uint8_t *data, size_t size, uint8_t *out)
{
    static const uint8_t head[3] = {0x78, 0x01, 0x01}; /* zlib without compression; the last block, stored */
    uint32_t a = 1, b = 0;
    memcpy(out, head, sizeof head);
    uint8_t *at = anc_put(out + sizeof head, size, 2);
    at = anc_put(at, ~(uint64_t)size, 2);
    for (size_t i = 0; i < size; i++) {
        *at++ = data[i];
        a = (a + data[i]) % 65521;
        b = (b + a) % 65521;
    }
    const uint32_t adler = b << 16 | a;
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(adler >> shift);
    return (size_t)(at - out);
}

size_t anc_summary_write(const anc_frame *pcm, size_t n, size_t length, uint32_t rate, anc_summary_work *work,
                         uint8_t *out)
{
    size_t width = rate / 24, columns = 0;
    uint8_t loudest = 0;
    prepare(work, rate, width);
    while ((uint64_t)columns * rate / ANC_COLUMNS + width <= length)
        columns++;
    size_t first = columns > ANC_COLUMNS ? columns - ANC_COLUMNS : 0;
    for (size_t k = first; k < columns; k++) {
        size_t start = (size_t)((uint64_t)k * rate / ANC_COLUMNS);
        for (size_t i = 0; i < width; i++)
            work->column[i] = (float)pcm[(start + i) % n].x / 32768 * (0.5f - 0.5f * work->cosine[i]);
        bands_of_column(work, rate, width, work->bytes[k - first]);
    }
    uint8_t *bytes = work->bytes[0];
    size_t size = (columns - first) * ANC_BANDS;
    for (size_t i = 0; i < size; i++)
        loudest = bytes[i] > loudest ? bytes[i] : loudest;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] + RANGE_DB < loudest)
            bytes[i] = 0;
    return store(bytes, size, out);
}
