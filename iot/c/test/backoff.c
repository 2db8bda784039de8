/* Waits between attempts to connect: within their limits, growing, and different for headsets that start together. */
#include "../posix/backoff.h"

#include <stdio.h>

#define ATTEMPTS 40
#define HEADSETS 200

static int failures;

static void check(int right, const char *what)
{
    if (right)
        return;
    failures++;
    printf("FAILED: %s\n", what);
}

int main(void)
{
    char name[32];
    double first[HEADSETS];
    size_t same = 0;
    for (int i = 0; i < HEADSETS; i++) {
        double delay_s = 0, before_s = 0;
        snprintf(name, sizeof name, "headset-%d", i);
        backoff_seed(name);
        for (int k = 0; k < ATTEMPTS; k++) {
            double wait_s = backoff_next(&delay_s);
            check(wait_s >= delay_s / 2 && wait_s <= delay_s, "a wait is half of the delay to all of it");
            check(delay_s >= 1 && delay_s <= 120, "a delay is 1 to 120 s");
            check(k || delay_s <= 10, "the first delay is at most 10 s");
            check(delay_s >= 60 || delay_s > before_s, "a delay grows");
            check(k < 7 || delay_s >= 60, "a delay reaches a minute");
            before_s = delay_s;
            if (!k)
                first[i] = wait_s;
        }
        for (int k = 0; k < i; k++)
            same += first[k] >= first[i] && first[k] <= first[i];
    }
    check(same < HEADSETS / 10, "headsets that start together wait for different times");
    printf(failures ? "%d failures\n" : "all waits are right\n", failures);
    return failures != 0;
}
