/* Detect changes of the noise, in level or in spectrum. */
#include "../anc.h"
#include "fir.h"

#include <math.h>

#define FRAMES_PER_SPECTRUM 4
#define THRESHOLD 2.2f
#define MIN_DEVIATION_DB 1.4f
#define SUDDEN 10.0f /* 10 dB */
#define FLOOR_DB (-75.0f)
#define QUIET 1e-6f /* -60 dBFS */
#define PI 3.14159265358979f

static const uint16_t EDGES_HZ[ANC_OCTAVES + 1] = {45, 90, 180, 355, 710, 1400, 2800, 5600};

void anc_change_init(anc_change *c, uint32_t rate)
{
    memset(c, 0, sizeof *c);
    c->rate = rate;
    c->frame = rate / 16;
}

static void bit_reverse(float *re, float *im, size_t n)
{
    for (size_t i = 1, j = 0; i < n; i++) {
        size_t bit = n >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            float t = re[i];
            re[i] = re[j];
            re[j] = t;
            t = im[i];
            im[i] = im[j];
            im[j] = t;
        }
    }
}

/* In place, radix 2. */
static void fft(float *re, float *im, size_t n)
{
    bit_reverse(re, im, n);
    for (size_t half = 1; half < n; half *= 2)
        for (size_t k = 0; k < half; k++) {
            float wr = cosf(PI * (float)k / (float)half), wi = -sinf(PI * (float)k / (float)half);
            for (size_t i = k; i < n; i += 2 * half) {
                size_t j = i + half;
                float tr = wr * re[j] - wi * im[j], ti = wr * im[j] + wi * re[j];
                re[j] = re[i] - tr;
                im[j] = im[i] - ti;
                re[i] += tr;
                im[i] += ti;
            }
        }
}

/* The power of the pending frame per octave. Padded with zeros to n samples, a spectrum has n / frame times as many bins. */
static void octaves_of(anc_change *c, float *octaves)
{
    size_t n = 1;
    while (n < c->frame)
        n *= 2;
    memset(c->re, 0, n * sizeof *c->re);
    memset(c->im, 0, n * sizeof *c->im);
    memcpy(c->re, c->samples, c->frame * sizeof *c->re);
    fft(c->re, c->im, n);
    float scale = 2 / ((float)c->frame * (float)n);
    c->last_frame_power = 0;
    for (size_t band = 0; band < ANC_OCTAVES; band++) {
        float sum = 0;
        size_t bin = (EDGES_HZ[band] * n + c->rate - 1) / c->rate;
        for (; bin <= n / 2 && bin * c->rate < EDGES_HZ[band + 1] * n; bin++)
            sum += c->re[bin] * c->re[bin] + c->im[bin] * c->im[bin];
        octaves[band] = sum * scale;
        c->last_frame_power += octaves[band];
    }
}

/* The shape of the `count` frames that end with frame `last`, counted from the first one. */
static void shape_of(const anc_change *c, size_t last, size_t count, float *shape)
{
    float mean = 0;
    for (size_t band = 0; band < ANC_OCTAVES; band++) {
        float sum = 0;
        for (size_t i = 0; i < count; i++)
            sum += c->octaves[(last - i) % ANC_LEARNED_FRAMES][band];
        shape[band] = fmaxf(10 * log10f(sum / (float)count + 1e-12f), FLOOR_DB);
        mean += shape[band] / ANC_OCTAVES;
    }
    for (size_t band = 0; band < ANC_OCTAVES; band++)
        shape[band] -= mean;
}

static size_t spectrum_frames(const anc_change *c)
{
    return c->frames < FRAMES_PER_SPECTRUM ? c->frames : FRAMES_PER_SPECTRUM;
}

static bool matches(const anc_spectrum *known, const float *shape)
{
    float distance = 0;
    for (size_t band = 0; band < ANC_OCTAVES; band++) {
        float deviation = (shape[band] - known->shape[band]) / known->deviation_db[band];
        distance += deviation * deviation / ANC_OCTAVES;
    }
    return distance <= THRESHOLD * THRESHOLD;
}

static bool is_known(const anc_change *c, const float *shape)
{
    for (size_t i = 0; i < c->known_count && i < ANC_KNOWN; i++)
        if (matches(&c->known[i], shape))
            return true;
    return false;
}

static bool has_changed(const anc_change *c)
{
    float shape[ANC_OCTAVES];
    if (!c->learned)
        return c->last_frame_power > QUIET;
    shape_of(c, c->frames - 1, spectrum_frames(c), shape);
    return !matches(&c->current, shape) && !is_known(c, shape);
}

bool anc_change_quiet(const anc_change *c)
{
    return c->last_frame_power < QUIET && c->block_power[0] < QUIET && c->block_power[1] < QUIET;
}

void anc_change_process(anc_change *c, const float *x, size_t n)
{
    c->block_power[0] = c->block_power[1];
    c->block_power[1] = anc_energy_of(x, n) / (float)n;
    for (size_t i = 0; i < n; i++) {
        c->samples[c->pending++] = x[i];
        if (c->pending < c->frame)
            continue;
        octaves_of(c, c->octaves[c->frames++ % ANC_LEARNED_FRAMES]);
        c->pending = 0;
        uint64_t at = c->elapsed + i + 1;
        if (!c->is_new && has_changed(c)) {
            c->is_new = c->tentative = true;
            c->since = at;
        } else if (c->tentative && at >= c->since + FRAMES_PER_SPECTRUM * c->frame && !has_changed(c)) {
            c->is_new = c->tentative = false; /* the spectrum was a mixture of two known noises */
        }
    }
    c->elapsed += n;
    if (anc_change_quiet(c)) {
        c->is_new = c->sudden = c->tentative = false;
    } else if (!c->sudden && fminf(c->block_power[0], c->block_power[1]) > SUDDEN * fmaxf(c->power, QUIET)) {
        c->is_new = c->sudden = true;
        c->tentative = false;
        c->since = c->elapsed - 2 * n;
    }
}

void anc_change_mark(anc_change *c)
{
    c->tentative = false;
    if (c->is_new)
        return;
    c->is_new = true;
    c->since = c->elapsed;
}

void anc_change_confirm(anc_change *c)
{
    c->tentative = false;
}

void anc_change_remember(anc_change *c)
{
    if (c->learned && !is_known(c, c->current.shape))
        c->known[c->known_count++ % ANC_KNOWN] = c->current;
}

void anc_change_forget(anc_change *c)
{
    c->known_count = 0;
}

void anc_change_learn(anc_change *c)
{
    size_t kept = c->frames < ANC_LEARNED_FRAMES ? c->frames : ANC_LEARNED_FRAMES, count = spectrum_frames(c);
    c->is_new = c->sudden = false;
    if (!kept)
        return;
    float shapes[ANC_LEARNED_FRAMES][ANC_OCTAVES];
    size_t spectra = kept - count + 1;
    for (size_t i = 0; i < spectra; i++)
        shape_of(c, c->frames - 1 - i, count, shapes[i]);
    c->power = 0;
    for (size_t band = 0; band < ANC_OCTAVES; band++) {
        float mean = 0, variance = 0;
        for (size_t i = 0; i < spectra; i++)
            mean += shapes[i][band] / (float)spectra;
        for (size_t i = 0; i < spectra; i++)
            variance += (shapes[i][band] - mean) * (shapes[i][band] - mean) / (float)spectra;
        c->current.shape[band] = mean;
        c->current.deviation_db[band] = sqrtf(variance + MIN_DEVIATION_DB * MIN_DEVIATION_DB);
        for (size_t i = 0; i < kept; i++)
            c->power += c->octaves[(c->frames - 1 - i) % ANC_LEARNED_FRAMES][band] / (float)kept;
    }
    c->learned = true;
}
