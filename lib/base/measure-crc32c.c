/* SPDX-License-Identifier: Apache-2.0 */
/* CRC32C: finds bytes that were changed by accident. */

#include <config.h>

#include "base/measure-crc32c.h"

#include <string.h>

/* Remainders of the 16 values of half a byte. */
static const uint32_t remainders[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
    0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
    0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t
measure_crc32c_by_table(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *p = data;

    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ remainders[crc & 15];
        crc = crc >> 4 ^ remainders[crc & 15];
    }
    return ~crc;
}

#ifdef __x86_64__

__attribute__((target("sse4.2")))
static uint32_t
crc32c_by_instruction(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *p = data;
    uint64_t state = (uint32_t) ~crc;
    uint64_t word;

    for (; size >= sizeof word; size -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        state = __builtin_ia32_crc32di(state, word);
    }
    for (; size; size--, p++) {
        state = __builtin_ia32_crc32qi(state, *p);
    }
    return ~(uint32_t) state;
}

#endif

uint32_t
measure_crc32c(uint32_t crc, const void *data, size_t size)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2")) {
        return crc32c_by_instruction(crc, data, size);
    }
#endif
    return measure_crc32c_by_table(crc, data, size);
}
