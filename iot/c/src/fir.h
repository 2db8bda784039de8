/* Delay lines and products of the filters; not part of the interface. */
#ifndef ANC_FIR_H
#define ANC_FIR_H

#include <stddef.h>
#include <string.h>

/* Append a block to a line of `past` samples, oldest first. */
static inline void anc_append(float *line, size_t past, const float *x, size_t n)
{
    memcpy(line + past, x, n * sizeof *x);
}

/* Drop the oldest n samples after a block was used. */
static inline void anc_drop(float *line, size_t past, size_t n)
{
    memmove(line, line + n, past * sizeof *line);
}

/* The sum of h[k] newest[-k]. */
static inline float anc_convolve(const float *h, const float *newest, size_t taps)
{
    float sum = 0;
    for (size_t k = 0; k < taps; k++)
        sum += h[k] * *(newest - k);
    return sum;
}

static inline float anc_energy_of(const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum;
}

#endif
