/* Local adaptation: normalised filtered-x LMS near the filter from the platform, once per block. */
#include "../anc.h"
#include "fir.h"

#include <math.h>

#define PAST (ANC_MAX_TAPS - 1)
#define STEP_SIZE 0.01f
#define LEAK_S 20.0f
#define MAX_DISTANCE 0.5f
#define CLIPPED 0.99f
#define MAX_SUDDEN_RISE 4.0f
#define MAX_RISE 1.26f
#define MAX_RISES 3
#define AVERAGE_S 0.5f

void anc_adaptation_init(anc_adaptation *a, const float *s, size_t taps, uint32_t rate)
{
    memset(a, 0, sizeof *a);
    a->s = s;
    a->m = taps;
    a->rate = rate;
}

void anc_adaptation_start(anc_adaptation *a, const anc_controller *c)
{
    a->base = c->active.filter;
    a->gain = c->active.gain;
    a->limit = a->base ? MAX_DISTANCE * sqrtf(anc_energy_of(a->base->w, a->base->taps)) : 0;
    a->first_ratio = a->sum_x = a->sum_e = a->sum_b = 0;
    a->samples = 0;
    a->rises = 0;
    memset(a->line_x, 0, sizeof a->line_x);
    memset(a->line_v, 0, sizeof a->line_v);
    memset(&a->base_path, 0, sizeof a->base_path);
}

static float peak(const float *x, size_t n)
{
    float highest = 0;
    for (size_t i = 0; i < n; i++)
        highest = fmaxf(highest, fabsf(x[i]));
    return highest;
}

static bool is_noise(anc_adaptation *a, const float *x, const float *e, const float *y, size_t n)
{
    float power = anc_energy_of(e, n) / (float)n, average = a->residual_power;
    float weight = fminf((float)n / (AVERAGE_S * (float)a->rate), 1);
    a->residual_power = power >= average && average > 0 ? average + weight * (power - average) : power;
    return anc_energy_of(x, n) > ANC_MIN_POWER * (float)n && peak(x, n) < CLIPPED && peak(e, n) < CLIPPED &&
           peak(y, n) < CLIPPED && power > 0 && power <= MAX_SUDDEN_RISE * average;
}

static void update(anc_adaptation *a, float *w, const float *e, size_t n)
{
    size_t taps = a->base->taps;
    const float *v = a->line_v + PAST; /* of the first sample of the block */
    float energy = anc_energy_of(v - (taps - 1), n + taps - 1) * (float)taps / (float)(n + taps - 1);
    float keep = 1 - (float)n / (LEAK_S * (float)a->rate), distance = 0;
    memset(a->gradient, 0, taps * sizeof *a->gradient);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < taps; k++)
            a->gradient[k] += e[i] * *(v + i - k);
    for (size_t k = 0; k < taps; k++) {
        float change = keep * (w[k] - a->base->w[k]) + STEP_SIZE * a->gradient[k] / fmaxf(energy, 1e-12f);
        a->gradient[k] = change;
        distance += change * change;
    }
    distance = sqrtf(distance);
    float scale = distance > a->limit ? a->limit / distance : 1;
    for (size_t k = 0; k < taps; k++)
        w[k] = a->base->w[k] + scale * a->gradient[k];
}

/* At the end of a window, return to the base if it would have left less noise, or if the residual has risen. */
static void compare(anc_adaptation *a, float *w, const float *x, const float *e, const float *b, size_t n)
{
    a->sum_x += anc_energy_of(x, n);
    a->sum_e += anc_energy_of(e, n);
    a->sum_b += anc_energy_of(b, n);
    a->samples += n;
    if (a->samples < a->rate / 4)
        return;
    float ratio = a->sum_e / a->sum_x;
    bool rose = a->first_ratio > 0 && ratio > MAX_RISE * a->first_ratio;
    a->rises += rose;
    if (rose || a->sum_e > a->sum_b) {
        memcpy(w, a->base->w, a->base->taps * sizeof *w);
        a->first_ratio = 0;
    } else if (!(a->first_ratio > 0)) {
        a->first_ratio = ratio;
    }
    a->sum_x = a->sum_e = a->sum_b = 0;
    a->samples = 0;
}

void anc_adaptation_process(anc_adaptation *a, anc_controller *c, const float *x, const float *e, const float *y, size_t n)
{
    float v[ANC_MAX_BLOCK], b[ANC_MAX_BLOCK], heard[ANC_MAX_BLOCK], from_base[ANC_MAX_BLOCK];
    anc_path_process(&a->filtered, a->s, a->m, x, v, n);
    anc_path_process(&a->played, a->s, a->m, y, b, n);
    if (!a->base)
        return;
    anc_append(a->line_x, PAST, x, n);
    for (size_t i = 0; i < n; i++)
        from_base[i] = a->gain * anc_convolve(a->base->w, a->line_x + PAST + i, a->base->taps);
    anc_drop(a->line_x, PAST, n);
    anc_path_process(&a->base_path, a->s, a->m, from_base, heard, n);
    for (size_t i = 0; i < n; i++)
        b[i] += e[i] - heard[i];
    anc_append(a->line_v, PAST, v, n);
    if (c->steady && a->rises < MAX_RISES && is_noise(a, x, e, y, n)) {
        update(a, c->w, e, n);
        compare(a, c->w, x, e, b, n);
    }
    anc_drop(a->line_v, PAST, n);
}
