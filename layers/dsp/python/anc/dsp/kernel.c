/* NLMS sample by sample: the update of one sample and the output of the next in one pass. See kernel.py.
 * The flags in setup.py permit partial sums in vector registers. */
#include <stddef.h>

int anc_kernel_version(void) { return 1; }

/* On x86-64 Linux, gcc and clang compile each function several times; the loader selects one for the processor. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && defined(__GNUC__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

/* x      (taps - 1 + n) samples, the taps - 1 past ones first
 * d, e   (n) primary signal, residual
 * w      (taps) weights, oldest sample first; updated
 * tail   (taps) scratch
 * leak   share of the weights lost at each sample
 * gate   energy of the window below which the weights do not adapt
 *
 * The energy of a window is a sum over its samples before the current `taps` samples, from `tail`, and a sum over
 * those after. Unlike a running sum this subtracts nothing, so a drop in level leaves no rounding error behind. */
#define DEFINE_NLMS(NAME, REAL)                                                                                \
    FOR_EACH_PROCESSOR                                                                                         \
    void NAME(const REAL *restrict x, const REAL *restrict d, REAL *restrict e, REAL *restrict w,              \
              double *restrict tail, size_t n, size_t taps, double mu, double eps, double leak, double gate)   \
    {                                                                                                          \
        const REAL lost = (REAL)leak;                                                                          \
        REAL y = 0;                                                                                            \
        double head = 0;                                                                                       \
        for (size_t k = 0; k < taps; k++) y += w[k] * x[k];                                                    \
        for (size_t i = 0; i < n; i++) {                                                                       \
            const REAL *restrict window = x + i;                                                               \
            const size_t j = i % taps;                                                                         \
            if (j == 0) {                                                                                      \
                head = tail[taps - 1] = 0;                                                                     \
                for (size_t k = taps - 1; k-- > 0;) tail[k] = tail[k + 1] + (double)window[k] * window[k];     \
            }                                                                                                  \
            head += (double)window[taps - 1] * window[taps - 1];                                               \
            const double energy = tail[j] + head;                                                              \
            e[i] = d[i] - y;                                                                                   \
            const REAL step = energy >= gate ? (REAL)(mu * e[i] / (eps + energy)) : 0;                         \
            const size_t both = i + 1 < n ? taps : 0; /* there is no next window after the last sample */      \
            REAL sum = 0;                                                                                      \
            for (size_t k = 0; k < both; k++) {                                                                \
                w[k] += step * window[k] - lost * w[k];                                                        \
                sum += w[k] * window[k + 1];                                                                   \
            }                                                                                                  \
            for (size_t k = both; k < taps; k++) w[k] += step * window[k] - lost * w[k];                       \
            y = sum;                                                                                           \
        }                                                                                                      \
    }

DEFINE_NLMS(anc_nlms_f32, float)
DEFINE_NLMS(anc_nlms_f64, double)
