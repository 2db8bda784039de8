/* Find a dead microphone. */
#include "../anc.h"

#include <math.h>
#include <string.h>

#define MIN_SPREAD (4.0f / 32768) /* a converter's own noise exceeds this */
#define MIN_POWER 1e-6            /* -60 dBFS */

void anc_microphones_init(anc_microphones *m, uint32_t rate)
{
    memset(m, 0, sizeof *m);
    m->window = rate;
}

static void add(anc_microphones *m, size_t channel, float value)
{
    if (!m->samples) {
        m->low[channel] = m->high[channel] = m->first[channel] = value;
        m->sum[channel] = m->square[channel] = 0;
    }
    double difference = (double)value - (double)m->first[channel];
    m->low[channel] = fminf(m->low[channel], value);
    m->high[channel] = fmaxf(m->high[channel], value);
    m->sum[channel] += difference;
    m->square[channel] += difference * difference;
}

static bool dead(const anc_microphones *m, size_t channel)
{
    double mean = m->sum[1 - channel] / (double)m->samples;
    bool other_hears = m->square[1 - channel] / (double)m->samples - mean * mean > MIN_POWER;
    return m->high[channel] - m->low[channel] < MIN_SPREAD && other_hears;
}

anc_microphone_fault anc_microphones_process(anc_microphones *m, const float *x, const float *e, size_t n)
{
    anc_microphone_fault fault = ANC_BOTH_WORK;
    for (size_t i = 0; i < n; i++) {
        add(m, 0, x[i]);
        add(m, 1, e[i]);
        if (++m->samples < m->window)
            continue;
        fault = dead(m, 0) ? ANC_REFERENCE_DEAD : dead(m, 1) ? ANC_ERROR_DEAD : ANC_BOTH_WORK;
        m->samples = 0;
    }
    return fault;
}
