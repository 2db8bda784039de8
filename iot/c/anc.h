/* A headset of the ANC Platform in C99: the reference for firmware. docs/protocol.md defines all of it.
 *
 * Nothing allocates, nothing is global, and nothing calls the operating system. All state is in structs of the caller,
 * whose size follows from the limits below; set them with -D. Only the audio thread may use a controller, a monitor, an
 * adaptation and a recorder. Arrays are impulse responses with tap 0 first, or samples of full scale 1.
 */
#ifndef ANC_H
#define ANC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef ANC_MAX_RATE
#define ANC_MAX_RATE 16000 /* Hz */
#endif
#ifndef ANC_MAX_TAPS
#define ANC_MAX_TAPS 512 /* of the control filter; the platform sends at most 1024 */
#endif
#ifndef ANC_MAX_PATH
#define ANC_MAX_PATH 256 /* taps of S, the model of the secondary path */
#endif
#ifndef ANC_MAX_BLOCK
#define ANC_MAX_BLOCK (ANC_MAX_RATE / 50) /* samples per call of any `process` */
#endif
#ifndef ANC_MAX_SNAPSHOT
#define ANC_MAX_SNAPSHOT (ANC_MAX_RATE < 32760 ? ANC_MAX_RATE : 32760) /* samples: a second, or 128 KB */
#endif

#define ANC_MIN_POWER 3.1622777e-7f /* -65 dBFS: below it, a microphone's own noise dominates */

/* ---- Filters ------------------------------------------------------------------------------------------------- */

typedef struct {
    char id[17];  /* 16 hexadecimal digits */
    uint32_t seq; /* number of the snapshot that it was designed from */
    size_t taps;
    float w[ANC_MAX_TAPS];
} anc_filter;

/* A filter that plays at a gain of 0 to 1. NULL: no anti-noise. It must live until the controller has left it. */
typedef struct {
    const anc_filter *filter;
    float gain;
} anc_active;

/* The fields of `filter` in the shadow, as text that need not end with a zero. */
typedef struct {
    const char *id, *data, *sha256, *dtype;
    size_t id_length, data_length, sha256_length, dtype_length;
    uint32_t seq, rate, taps;
} anc_filter_document;

/* Find these fields in the JSON of `filter`. What is missing makes `anc_filter_decode` refuse it. */
anc_filter_document anc_filter_document_of(const char *text, size_t length);

/* Decode a filter and verify its hash. Return NULL, or why the filter is refused; it is then undefined. */
const char *anc_filter_decode(anc_filter *filter, const anc_filter_document *document, uint32_t rate);

void anc_sha256(const uint8_t *data, size_t size, uint8_t digest[32]);
float anc_half_to_float(uint16_t half);

/* ---- Control: y = gain (w * x), with a cross-fade from one filter to the next ----------------------------------- */

typedef struct {
    anc_active active; /* what plays */
    bool steady;       /* whether it played at full gain during the whole last block */
    float w[ANC_MAX_TAPS]; /* its weights; `anc_adaptation_process` changes them between blocks */
    anc_active previous, next;
    bool pending; /* `next` waits for the end of the cross-fade */
    float previous_w[ANC_MAX_TAPS];
    size_t fade, faded; /* length of a cross-fade in samples, and how much of it is done */
    float line[ANC_MAX_TAPS - 1 + ANC_MAX_BLOCK];
} anc_controller;

void anc_controller_init(anc_controller *c, uint32_t rate);
void anc_controller_play(anc_controller *c, anc_active next);

/* Filter a block of at most ANC_MAX_BLOCK samples; y stays within -1 and 1. Return whether another filter or gain has begun with it. */
bool anc_controller_process(anc_controller *c, const float *x, float *y, size_t n);

/* ---- An FIR filter that keeps its past from block to block ------------------------------------------------------- */

typedef struct {
    float line[ANC_MAX_PATH - 1 + ANC_MAX_BLOCK];
} anc_path;

void anc_path_process(anc_path *p, const float *s, size_t m, const float *x, float *out, size_t n);

/* ---- Judge: compare the filter with the previous one and with none ------------------------------------------------ */

typedef enum { ANC_KEEP, ANC_PREVIOUS, ANC_NONE } anc_verdict;

typedef struct {
    float attenuation_db;
    anc_verdict verdict;
} anc_evaluation;

typedef struct {
    float x, e, d, a; /* sums of squares; `a` is what the alternative would have left */
    size_t samples;
} anc_energy;

#define ANC_ALERT_BLOCKS 32 /* the early evaluation covers at most so many blocks */

typedef struct {
    const float *s;
    size_t m, window, alert_window;
    anc_active active, previous;
    bool comparing, has_last;
    float last_x, last_e; /* of the latest window */
    anc_energy sum, recent[ANC_ALERT_BLOCKS];
    size_t recent_first, recent_count;
    anc_path played, alternative;
    float line[ANC_MAX_TAPS - 1 + ANC_MAX_BLOCK];
} anc_monitor;

void anc_monitor_init(anc_monitor *m, const float *s, size_t taps, uint32_t rate);

/* Process a block that `c` has just played, and write d, the noise without control. Return whether a window has ended and
 * `evaluation` is set. */
bool anc_monitor_process(anc_monitor *m, const anc_controller *c, const float *x, const float *e, const float *y, float *d,
                         size_t n, anc_evaluation *evaluation);

/* ---- Local adaptation -------------------------------------------------------------------------------------------- */

typedef struct {
    const float *s;
    size_t m;
    uint32_t rate;
    const anc_filter *base; /* NULL: nothing to adapt */
    float gain, limit, residual_power, first_ratio;
    float sum_x, sum_e, sum_b;
    size_t samples;
    int rises;
    anc_path filtered, played, base_path;
    float line_x[ANC_MAX_TAPS - 1 + ANC_MAX_BLOCK], line_v[ANC_MAX_TAPS - 1 + ANC_MAX_BLOCK];
    float gradient[ANC_MAX_TAPS];
} anc_adaptation;

void anc_adaptation_init(anc_adaptation *a, const float *s, size_t taps, uint32_t rate);

/* Start from the filter that `c` has begun to play; call it when `anc_controller_process` returns true. */
void anc_adaptation_start(anc_adaptation *a, const anc_controller *c);

/* Adapt the weights of `c` to a block that it has just played. */
void anc_adaptation_process(anc_adaptation *a, anc_controller *c, const float *x, const float *e, const float *y, size_t n);

/* ---- Change of the noise ----------------------------------------------------------------------------------------- */

#define ANC_OCTAVES 7
#define ANC_LEARNED_FRAMES 16
#define ANC_KNOWN 16 /* noises for which the platform kept the filter */
#define ANC_MAX_FRAME (ANC_MAX_RATE / 16)
#define ANC_FFT (ANC_MAX_FRAME <= 1024 ? 1024 : ANC_MAX_FRAME <= 4096 ? 4096 : 8192)

typedef struct {
    float shape[ANC_OCTAVES], deviation_db[ANC_OCTAVES];
} anc_spectrum;

typedef struct {
    bool is_new, sudden;
    bool tentative; /* the return of a known noise takes the change back */
    uint64_t since;   /* first sample of the new noise */
    uint64_t elapsed; /* samples processed */
    uint32_t rate;
    size_t frame, pending, frames;
    bool learned;
    float power;
    anc_spectrum current, known[ANC_KNOWN]; /* the oldest known one is number known_count, modulo the size */
    size_t known_count;
    float octaves[ANC_LEARNED_FRAMES][ANC_OCTAVES]; /* the latest frame is number frames - 1, modulo the size */
    float last_frame_power, block_power[2];
    float samples[ANC_MAX_FRAME], re[ANC_FFT], im[ANC_FFT];
} anc_change;

void anc_change_init(anc_change *c, uint32_t rate);
void anc_change_process(anc_change *c, const float *x, size_t n);
void anc_change_mark(anc_change *c); /* treat the noise as new from now on */
void anc_change_confirm(anc_change *c); /* a snapshot of the new noise was sent */
void anc_change_learn(anc_change *c);
void anc_change_remember(anc_change *c); /* the return of the noise learned last is no change */
void anc_change_forget(anc_change *c);
bool anc_change_quiet(const anc_change *c);

/* ---- When to send a snapshot ------------------------------------------------------------------------------------- */

typedef struct {
    anc_change change;
    float shortest_s, interval_s; /* between snapshots of an unchanged noise, at first and now */
    bool backs_off;               /* set it if the headset detects alarms itself and the desired state has no reason */
    bool answered, retrying;
    uint64_t steady_since, quiet_until, next;
    float tokens;
    size_t lengths[3], sent;
} anc_scheduler;

void anc_scheduler_init(anc_scheduler *s, uint32_t rate, float interval_s);
void anc_scheduler_process(anc_scheduler *s, const float *x, size_t n, bool steady);
size_t anc_scheduler_due(const anc_scheduler *s); /* samples to send now; 0: none */
void anc_scheduler_sent(anc_scheduler *s, size_t samples);
void anc_scheduler_answered(anc_scheduler *s); /* a snapshot brought a new filter */
void anc_scheduler_retry(anc_scheduler *s); /* the last snapshot could not be used */

/* ---- A dead microphone: constant for a second, while the other one hears sound ------------------------------------- */

typedef enum { ANC_BOTH_WORK, ANC_REFERENCE_DEAD, ANC_ERROR_DEAD } anc_microphone_fault;

typedef struct {
    size_t window, samples;
    float low[2], high[2];
    double sum[2], square[2]; /* of the differences to the first sample */
    float first[2];
} anc_microphones;

void anc_microphones_init(anc_microphones *m, uint32_t rate);

/* Process a block of both microphones. Return the fault at the end of a second; ANC_BOTH_WORK before. */
anc_microphone_fault anc_microphones_process(anc_microphones *m, const float *x, const float *e, size_t n);

/* ---- Snapshots --------------------------------------------------------------------------------------------------- */

#define ANC_HEADER_SIZE 32
#define ANC_STATISTICS_SIZE(taps) (53 + 8 * (taps))
#define ANC_BANDS 80
#define ANC_COLUMNS 48
#define ANC_SUMMARY_SIZE (ANC_BANDS * ANC_COLUMNS + 11)
#define ANC_PCM_SIZE (ANC_HEADER_SIZE + 4 * ANC_MAX_SNAPSHOT)
#define ANC_PRIVATE_SIZE (ANC_HEADER_SIZE + 4 + ANC_STATISTICS_SIZE(ANC_MAX_TAPS) + ANC_SUMMARY_SIZE)

typedef struct {
    size_t next, length;
    float ring[ANC_MAX_SNAPSHOT][2]; /* x and d; +-HUGE_VALF where a microphone clipped */
} anc_recorder;

typedef struct {
    int16_t x, d;
} anc_frame;

typedef struct {
    uint32_t seq, rate;
    const anc_filter *filter; /* that plays; NULL: none */
} anc_snapshot_header;

typedef struct {
    float v[2 * ANC_MAX_TAPS], r[ANC_MAX_TAPS], p[ANC_MAX_TAPS];
} anc_statistics_work;

#define ANC_MAX_COLUMN (ANC_MAX_RATE / 24)
typedef struct {
    float column[ANC_MAX_COLUMN], cosine[ANC_MAX_COLUMN], sine[ANC_MAX_COLUMN];
    float edges[ANC_BANDS + 2], weights[ANC_BANDS], density[ANC_BANDS];
    uint8_t bytes[ANC_COLUMNS][ANC_BANDS];
} anc_summary_work;

void anc_recorder_init(anc_recorder *r);
void anc_recorder_process(anc_recorder *r, const float *x, const float *e, const float *d, size_t n);

/* Write the last n samples as int16. Return the share that is clipped. `out` may be part of a message. */
float anc_recorder_pcm(const anc_recorder *r, anc_frame *out, size_t n);

/* Write a header of ANC_HEADER_SIZE bytes. The second channel is d, so the gain is 0. */
void anc_snapshot_header_write(const anc_snapshot_header *h, bool statistics, size_t samples, uint8_t *out);

/* Write a snapshot of kind 1 with n frames. Return its size. */
size_t anc_snapshot_pcm(const anc_snapshot_header *h, const anc_frame *pcm, size_t n, uint8_t *out);

/* Write a snapshot of kind 2 that describes n frames. Return its size; 0 if the sound is too short. */
size_t anc_snapshot_private(const anc_snapshot_header *h, const anc_frame *pcm, size_t n, const float *s, size_t m,
                            size_t taps, anc_statistics_work *statistics, anc_summary_work *summary, uint8_t *out);

/* The parts of a snapshot of kind 2. `anc_onset` returns the first sample of the noise. */
size_t anc_onset(const anc_frame *pcm, size_t n);
size_t anc_statistics_write(const anc_frame *pcm, size_t n, uint32_t rate, const float *s, size_t m, size_t taps,
                            anc_statistics_work *work, uint8_t *out);
size_t anc_summary_write(const anc_frame *pcm, size_t n, size_t length, uint32_t rate, anc_summary_work *work,
                         uint8_t *out);

/* ---- JSON: find a value in a document without building it ---------------------------------------------------------- */

typedef struct {
    const char *text; /* a string without its quotes; escapes are kept */
    size_t length;
    char type; /* 's' string, 'n' number, 'b' true or false, 'z' null, 'o' object, 'a' array; 0: not found */
} anc_json;

/* Find the value at a path such as "state.desired.filter"; an empty path is the document. */
anc_json anc_json_find(const char *text, size_t length, const char *path);
anc_json anc_json_element(anc_json array, size_t index);
bool anc_json_number(anc_json value, double *number);
bool anc_json_uint(anc_json value, uint32_t *number);
bool anc_json_equals(anc_json value, const char *text);

#endif
