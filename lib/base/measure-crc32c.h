/* SPDX-License-Identifier: Apache-2.0 */
/* CRC32C: finds bytes that were changed by accident. */

#ifndef MEASURE_CRC32C_H
#define MEASURE_CRC32C_H 1

#include <stddef.h>
#include <stdint.h>

/* CRC32C
 * ======
 *
 * The checksum of Castagnoli (1993), as in RFC 3720 (iSCSI) and ext4: the
 * polynomial 0x1edc6f41, reflected, with all bits of the beginning and of the
 * result inverted.  Any burst of up to 32 bits is found, and of other damage
 * all but one in 2^32.  It is linear: no protection from whoever means harm.
 *
 * With SSE4.2 there is an instruction for it, about 7 bytes a cycle; without
 * it a table of 16 words is used, half a byte a step.
 *
 * Memory: none.
 *
 * Thread safety: pure functions. */

/* Returns the checksum of 'size' bytes at 'data' that follow others whose
 * checksum is 'crc', 0 if there are none. */
uint32_t measure_crc32c(uint32_t crc, const void *data, size_t size);

/* The same without the instruction, for tests. */
uint32_t measure_crc32c_by_table(uint32_t crc, const void *data, size_t size);

#endif /* measure-crc32c.h */
