/* y = gain (w * x), with a cross-fade from one filter to the next. */
#include "../anc.h"
#include "fir.h"

#define PAST (ANC_MAX_TAPS - 1)

void anc_path_process(anc_path *p, const float *s, size_t m, const float *x, float *out, size_t n)
{
    anc_append(p->line, ANC_MAX_PATH - 1, x, n);
    for (size_t i = 0; i < n; i++)
        out[i] = anc_convolve(s, p->line + ANC_MAX_PATH - 1 + i, m);
    anc_drop(p->line, ANC_MAX_PATH - 1, n);
}

void anc_controller_init(anc_controller *c, uint32_t rate)
{
    memset(c, 0, sizeof *c);
    c->steady = true;
    c->fade = c->faded = rate / 20;
}

void anc_controller_play(anc_controller *c, anc_active next)
{
    if (!next.filter || next.gain <= 0)
        next = (anc_active){0};
    c->next = next;
    c->pending = true;
}

static bool same(anc_active a, anc_active b) { return a.filter == b.filter && !(a.gain < b.gain || a.gain > b.gain); }

static bool change(anc_controller *c)
{
    if (!c->pending || c->faded < c->fade)
        return false;
    c->pending = false;
    if (same(c->next, c->active))
        return false;
    c->previous = c->active;
    memcpy(c->previous_w, c->w, sizeof c->w);
    c->active = c->next;
    if (c->active.filter)
        memcpy(c->w, c->active.filter->w, c->active.filter->taps * sizeof *c->w);
    c->faded = 0;
    return true;
}

static float output(anc_active a, const float *w, const float *newest)
{
    return a.filter ? a.gain * anc_convolve(w, newest, a.filter->taps) : 0;
}

bool anc_controller_process(anc_controller *c, const float *x, float *y, size_t n)
{
    bool changed = change(c);
    c->steady = c->faded == c->fade;
    anc_append(c->line, PAST, x, n);
    for (size_t i = 0; i < n; i++) {
        const float *newest = c->line + PAST + i;
        y[i] = output(c->active, c->w, newest);
        if (c->faded < c->fade) {
            float rise = (float)++c->faded / (float)c->fade;
            y[i] = rise * y[i] + (1 - rise) * output(c->previous, c->previous_w, newest);
        }
        y[i] = y[i] > 1 ? 1 : y[i] < -1 ? -1 : y[i]; /* as the driver does, so that the noise without control is known */
    }
    anc_drop(c->line, PAST, n);
    return changed;
}
