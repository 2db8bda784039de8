/* Judge a filter at the error microphone, against the previous filter and against none. */
#include "../anc.h"
#include "fir.h"

#include <math.h>

#define PAST (ANC_MAX_TAPS - 1)
#define DB_1 1.2589254f
#define DB_2 1.5848932f
#define DB_3 1.9952623f

void anc_monitor_init(anc_monitor *m, const float *s, size_t taps, uint32_t rate)
{
    memset(m, 0, sizeof *m);
    m->s = s;
    m->m = taps;
    m->window = rate / 4;
    m->alert_window = rate * 8 / 100;
}

static void restart(anc_monitor *m)
{
    memset(&m->sum, 0, sizeof m->sum);
    m->recent_count = 0;
}

static void begin(anc_monitor *m, anc_active active)
{
    m->previous = m->active;
    m->active = active;
    /* Another gain of the same filter leaves nothing to compare. */
    m->comparing = active.filter && active.filter != m->previous.filter;
    memset(m->line, 0, sizeof m->line);
    memset(&m->alternative, 0, sizeof m->alternative);
}

/* Replace d, the noise without control, by what the alternative would have left. */
static void alternative(anc_monitor *m, const float *x, float *a, size_t n)
{
    float y[ANC_MAX_BLOCK], heard[ANC_MAX_BLOCK];
    if (!m->comparing || !m->previous.filter)
        return;
    anc_append(m->line, PAST, x, n);
    for (size_t i = 0; i < n; i++)
        y[i] = m->previous.gain * anc_convolve(m->previous.filter->w, m->line + PAST + i, m->previous.filter->taps);
    anc_drop(m->line, PAST, n);
    anc_path_process(&m->alternative, m->s, m->m, y, heard, n);
    for (size_t i = 0; i < n; i++)
        a[i] -= heard[i];
}

static bool is_louder(const anc_monitor *m, float x, float e)
{
    if (!m->comparing || !m->has_last || m->previous.filter)
        return false;
    return x < DB_2 * m->last_x && m->last_x < DB_2 * x && e > DB_3 * m->last_e;
}

static anc_evaluation evaluate(anc_monitor *m, const anc_energy *sum)
{
    float n = (float)sum->samples, x = fmaxf(sum->x / n, 1e-15f), e = fmaxf(sum->e / n, 1e-15f);
    float d = fmaxf(sum->d / n, 1e-15f), a = fmaxf(sum->a / n, 1e-15f);
    anc_evaluation result = {10 * log10f(d / e), ANC_KEEP};
    if (d > ANC_MIN_POWER && m->active.filter) {
        if (m->comparing && e > DB_1 * a && a <= d)
            result.verdict = m->previous.filter ? ANC_PREVIOUS : ANC_NONE;
        else if (e > DB_1 * d || is_louder(m, x, e))
            result.verdict = ANC_NONE;
    }
    m->comparing = false;
    m->has_last = true;
    m->last_x = x;
    m->last_e = e;
    restart(m);
    return result;
}

static void add(anc_energy *sum, const anc_energy *block)
{
    sum->x += block->x;
    sum->e += block->e;
    sum->d += block->d;
    sum->a += block->a;
    sum->samples += block->samples;
}

/* Return whether the last blocks, of 0.08 s at least, are louder than without control. */
static bool alert(anc_monitor *m, const anc_energy *block, anc_energy *sum)
{
    if (m->recent_count == ANC_ALERT_BLOCKS) {
        m->recent_first = (m->recent_first + 1) % ANC_ALERT_BLOCKS;
        m->recent_count--;
    }
    m->recent[(m->recent_first + m->recent_count++) % ANC_ALERT_BLOCKS] = *block;
    memset(sum, 0, sizeof *sum);
    for (size_t i = 0; i < m->recent_count; i++)
        add(sum, &m->recent[(m->recent_first + i) % ANC_ALERT_BLOCKS]);
    if (sum->samples < m->alert_window)
        return false;
    for (size_t samples = sum->samples; samples - m->recent[m->recent_first].samples >= m->alert_window;) {
        samples -= m->recent[m->recent_first].samples;
        m->recent_first = (m->recent_first + 1) % ANC_ALERT_BLOCKS;
        m->recent_count--;
    }
    return m->active.filter && sum->d >= ANC_MIN_POWER * (float)sum->samples && sum->e > DB_1 * sum->d;
}

bool anc_monitor_process(anc_monitor *m, const anc_controller *c, const float *x, const float *e, const float *y, float *d,
                         size_t n, anc_evaluation *evaluation)
{
    float a[ANC_MAX_BLOCK];
    anc_energy recent;
    anc_path_process(&m->played, m->s, m->m, y, d, n);
    for (size_t i = 0; i < n; i++)
        a[i] = d[i] += e[i];
    if (c->active.filter != m->active.filter || c->active.gain < m->active.gain || c->active.gain > m->active.gain)
        begin(m, c->active);
    alternative(m, x, a, n);
    if (!c->steady) {
        restart(m);
        return false;
    }
    const anc_energy block = {anc_energy_of(x, n), anc_energy_of(e, n), anc_energy_of(d, n), anc_energy_of(a, n), n};
    add(&m->sum, &block);
    if (m->sum.samples >= m->window) {
        const anc_energy sum = m->sum;
        *evaluation = evaluate(m, &sum);
        return true;
    }
    if (!alert(m, &block, &recent))
        return false;
    *evaluation = evaluate(m, &recent);
    return true;
}
