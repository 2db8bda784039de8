/* When to send a snapshot, and how long it is: short at once, longer soon after, then periodically. */
#include "../anc.h"

#include <math.h>
#include <string.h>

#define BURST 4.0f
#define CHANGE_INTERVAL_S 60
#define BACK_OFF 4
#define LONGEST_S 960.0f
#define RETRY_S 2

static size_t shorter(size_t a, size_t b) { return a < b ? a : b; }

void anc_scheduler_init(anc_scheduler *s, uint32_t rate, float interval_s)
{
    memset(s, 0, sizeof *s);
    anc_change_init(&s->change, rate);
    s->shortest_s = s->interval_s = interval_s;
    s->answered = true;
    s->tokens = BURST;
    for (size_t i = 0; i < 3; i++)
        s->lengths[i] = shorter((size_t)rate >> (2 - i), ANC_MAX_SNAPSHOT);
}

void anc_scheduler_process(anc_scheduler *s, const float *x, size_t n, bool steady)
{
    anc_change_process(&s->change, x, n);
    float refill_s = s->backs_off ? CHANGE_INTERVAL_S : s->shortest_s;
    s->tokens = fminf(s->tokens + (float)n / (refill_s * (float)s->change.rate), BURST);
    if (!steady)
        s->steady_since = s->change.elapsed;
    if (anc_change_quiet(&s->change)) {
        s->quiet_until = s->change.elapsed;
        s->sent = 0;
    }
}

size_t anc_scheduler_due(const anc_scheduler *s)
{
    const anc_change *c = &s->change;
    uint64_t steady = c->elapsed - s->steady_since, heard = c->elapsed - s->quiet_until, fresh = c->elapsed - c->since;
    if (anc_change_quiet(c))
        return 0;
    if (!c->is_new)
        return c->elapsed >= s->next && steady >= s->lengths[2] && heard >= s->lengths[2] ? s->lengths[2] : 0;
    if (!s->sent && s->tokens < 1)
        return 0;
    if (c->sudden && !s->sent && fresh * 1000 >= 112 * (uint64_t)c->rate && fresh < s->lengths[0])
        fresh = s->lengths[0];
    for (size_t i = 3; i-- > 0;)
        if (s->lengths[i] > s->sent && s->lengths[i] <= fresh && s->lengths[i] <= steady)
            return s->lengths[i];
    return 0;
}

void anc_scheduler_sent(anc_scheduler *s, size_t samples)
{
    bool was_new = s->change.is_new;
    anc_change_confirm(&s->change);
    if (was_new && !s->sent)
        s->tokens -= 1;
    s->sent = samples;
    if (samples < s->lengths[2])
        return;
    if (was_new || !s->backs_off)
        s->interval_s = s->shortest_s;
    else if (!s->answered && !s->retrying)
        s->interval_s = fminf(BACK_OFF * s->interval_s, fmaxf(LONGEST_S, s->shortest_s));
    if (s->backs_off && !s->answered)
        anc_change_remember(&s->change);
    s->answered = false;
    s->retrying = was_new;
    float wait_s = was_new ? RETRY_S : s->interval_s;
    s->next = s->change.elapsed + (uint64_t)(wait_s * (float)s->change.rate);
    anc_change_learn(&s->change);
    s->sent = 0;
}

void anc_scheduler_answered(anc_scheduler *s)
{
    anc_change_forget(&s->change);
    s->interval_s = s->shortest_s;
    s->answered = true;
}

void anc_scheduler_retry(anc_scheduler *s)
{
    anc_change_mark(&s->change);
    s->tokens = fmaxf(s->tokens, 1);
    s->sent = 0;
}
