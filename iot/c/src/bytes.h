/* Little-endian numbers; not part of the interface. */
#ifndef ANC_BYTES_H
#define ANC_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint8_t *anc_put(uint8_t *out, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        *out++ = (uint8_t)(value >> 8 * i);
    return out;
}

static inline uint8_t *anc_put_float(uint8_t *out, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return anc_put(out, bits, 4);
}

static inline uint8_t *anc_put_double(uint8_t *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return anc_put(out, bits, 8);
}

#endif
