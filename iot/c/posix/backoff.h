/* How long to wait before the next attempt to connect, so that a fleet does not return at once after an outage. */
#ifndef BACKOFF_H
#define BACKOFF_H

/* Seed the random numbers with the name of the headset too: a power cut starts many headsets in the same second. */
void backoff_seed(const char *thing);
/* A random number between both. */
double backoff_uniform(double low, double high);
/* Return the wait in seconds after a failure. `*delay_s` is 0 after a success; it grows from 1-10 s to 60-120 s. */
double backoff_next(double *delay_s);

#endif
