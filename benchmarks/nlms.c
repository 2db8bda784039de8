/* NLMS as a careful C programmer writes it: the update of one sample and the output of the next in one pass. */
#include <stddef.h>

void nlms(const float *x, const float *d, float *e, float *w, size_t n, size_t taps, float mu, float eps)
{
    /* x begins with taps - 1 samples of history; w is stored oldest sample first. */
    float energy = 0, y = 0;
    for (size_t k = 0; k + 1 < taps; k++) energy += x[k] * x[k];
    for (size_t k = 0; k < taps; k++) y += w[k] * x[k];
    for (size_t i = 0; i < n; i++) {
        const float *window = x + i, newest = window[taps - 1];
        energy += newest * newest;
        e[i] = d[i] - y;
        const float step = mu * e[i] / (eps + energy);
        energy -= window[0] * window[0];
        y = 0;
        if (i + 1 == n) {
            for (size_t k = 0; k < taps; k++) w[k] += step * window[k];
        } else {
            for (size_t k = 0; k < taps; k++) {
                w[k] += step * window[k];
                y += w[k] * window[k + 1];
            }
        }
    }
}
