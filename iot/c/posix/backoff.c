#include "backoff.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void backoff_seed(const char *thing)
{
    struct timespec now;
    unsigned seed = 2166136261u; /* FNV-1a */
    clock_gettime(CLOCK_REALTIME, &now);
    for (; *thing; thing++)
        seed = (seed ^ (unsigned char)*thing) * 16777619u;
    srand(seed ^ (unsigned)now.tv_sec ^ (unsigned)now.tv_nsec ^ (unsigned)getpid() << 16);
}

double backoff_uniform(double low, double high) { return low + (high - low) * rand() / RAND_MAX; }

double backoff_next(double *delay_s)
{
    *delay_s = *delay_s > 0 ? *delay_s * 2 : backoff_uniform(1, 10);
    if (*delay_s > 60)
        *delay_s = backoff_uniform(60, 120);
    return *delay_s * backoff_uniform(0.5, 1);
}
