/* SPDX-License-Identifier: Apache-2.0 */
/* Files with the records of packets. */

#include <config.h>

#include "stream/measure-record-file.h"

#include "base/measure-crc32c.h"

/* Returns whether blocks can be compressed, and read if they are. */
bool
measure_record_file_has_zstd(void)
{
#ifdef HAVE_ZSTD
    return true;
#else
    return false;
#endif
}

/* Returns the checksum of a block: of its header behind 'crc', and of its
 * 'stored_size' bytes. */
uint32_t
measure_record_block_crc(const struct measure_record_block_header *header,
                         const void *payload)
{
    size_t from = offsetof(struct measure_record_block_header, kind);
    uint32_t crc = measure_crc32c(0, (const uint8_t *) header + from,
                                  sizeof *header - from);

    return measure_crc32c(crc, payload, header->stored_size);
}
