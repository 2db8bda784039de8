/* Decode control filters: base64, float16, SHA-256 (FIPS 180-4). */
#include "../anc.h"

#include <math.h>
#include <string.h>

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

static void compress(uint32_t h[8], const uint8_t *block)
{
    uint32_t w[64], s[8];
    for (size_t i = 0; i < 16; i++, block += 4)
        w[i] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 | block[3];
    for (size_t i = 16; i < 64; i++) {
        uint32_t a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    memcpy(s, h, sizeof s);
    for (size_t i = 0; i < 64; i++) {
        uint32_t a = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) +
                     K[i] + w[i];
        uint32_t b = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
                     ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += a;
        s[0] = a + b;
    }
    for (size_t i = 0; i < 8; i++)
        h[i] += s[i];
}

void anc_sha256(const uint8_t *data, size_t size, uint8_t digest[32])
{
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t tail[128] = {0};
    size_t whole = size / 64 * 64, left = size - whole, end = left < 56 ? 64 : 128;
    for (size_t i = 0; i < whole; i += 64)
        compress(h, data + i);
    if (left)
        memcpy(tail, data + whole, left);
    tail[left] = 0x80;
    for (size_t i = 0; i < 8; i++)
        tail[end - 1 - i] = (uint8_t)((uint64_t)size * 8 >> 8 * i);
    for (size_t i = 0; i < end; i += 64)
        compress(h, tail + i);
    for (size_t i = 0; i < 32; i++)
        digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

float anc_half_to_float(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    float value = exponent == 31 ? (fraction ? NAN : HUGE_VALF)
                  : exponent     ? ldexpf((float)(1024 + fraction), exponent - 25)
                                 : ldexpf((float)fraction, -24);
    return half & 0x8000 ? -value : value;
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* Return the number of bytes, or SIZE_MAX if the text is not base64 of at most `limit` bytes. */
static size_t base64_decode(const char *text, size_t length, uint8_t *out, size_t limit)
{
    size_t size = 0, padding = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
        padding++;
    if (length % 4 || length / 4 * 3 - padding > limit)
        return SIZE_MAX;
    uint32_t bits = 0;
    for (size_t i = 0; i < length; i++) {
        int digit = i < length - padding ? base64_digit(text[i]) : 0;
        if (digit < 0)
            return SIZE_MAX;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 3)
            for (int shift = 16; shift >= 0 && size < length / 4 * 3 - padding; shift -= 8)
                out[size++] = (uint8_t)(bits >> shift);
    }
    return size;
}

const char *anc_filter_decode(anc_filter *filter, const anc_filter_document *d, uint32_t rate)
{
    static const char hex[] = "0123456789abcdef";
    /* The bytes are decoded into the memory of the weights, and then widened from the end. */
    uint8_t *bytes = (uint8_t *)filter->w, digest[32];
    char text[65];
    if (d->rate != rate)
        return "filter.rate: must be the sample rate of this headset";
    if (d->taps < 1 || d->taps > ANC_MAX_TAPS)
        return "filter.taps: the filter is too long for this headset";
    if (d->dtype_length != 3 || memcmp(d->dtype, "f16", 3))
        return "filter.dtype: must be f16";
    if (base64_decode(d->data, d->data_length, bytes, 2 * ANC_MAX_TAPS) != 2 * (size_t)d->taps)
        return "filter.data: must be base64 of two bytes per tap";
    anc_sha256(bytes, 2 * (size_t)d->taps, digest);
    for (size_t i = 0; i < 64; i++)
        text[i] = hex[digest[i / 2] >> (i % 2 ? 0 : 4) & 15];
    if (d->sha256_length != 64 || memcmp(d->sha256, text, 64) || d->id_length != 16 || memcmp(d->id, text, 16))
        return "filter.sha256: does not match the data";
    memcpy(filter->id, text, 16);
    filter->id[16] = 0;
    filter->seq = d->seq;
    filter->taps = d->taps;
    for (size_t i = d->taps; i-- > 0;) {
        filter->w[i] = anc_half_to_float((uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8));
        if (!isfinite(filter->w[i]))
            return "filter.data: has a value that is not finite";
    }
    return NULL;
}
