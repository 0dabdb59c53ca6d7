/* SPDX-License-Identifier: Apache-2.0 */
/* Writing of record files. */

#ifndef MEASURE_RECORD_WRITER_H
#define MEASURE_RECORD_WRITER_H 1

#include "key/measure-switch-port.h"
#include "stream/measure-record-file.h"

/* Writers of record files
 * =======================
 *
 * A writer collects the slots of each ring.  When those of one fill a block it
 * writes a group (measure-record-file.h).  If a block cannot be written
 * because the disk is full, the file is cut behind the last one that was
 * whole, and nothing more is written: what there is can be read, and the
 * records that come later are counted as lost.
 *
 * Memory: MEASURE_RECORD_BLOCK_SLOTS * 32 bytes (128 KiB) for each number of a
 * ring, and once more for compression.
 *
 * Thread safety: a writer belongs to one thread at a time. */

struct measure_record_writer;

struct measure_record_writer_options {
    bool zstd;                  /* Compress. */
    int level;                  /* From 1 to 19; 0 for 1. */
    uint64_t time_ns;           /* For the header. */
};

char *measure_record_writer_open(struct measure_record_writer **,
                                 const char *name,
                                 const struct measure_record_writer_options *);
bool measure_record_writer_ports(struct measure_record_writer *,
                                 const struct measure_port_names *);
bool measure_record_writer_begin(struct measure_record_writer *,
                                 uint32_t ring);
bool measure_record_writer_put(struct measure_record_writer *,
                               uint32_t ring, uint32_t core_id,
                               const struct measure_slot *);
bool measure_record_writer_mark(struct measure_record_writer *,
                                uint32_t ring, uint32_t core_id,
                                const struct measure_mark *);
bool measure_record_writer_flush(struct measure_record_writer *);
const char *measure_record_writer_error(const struct measure_record_writer *);
char *measure_record_writer_close(struct measure_record_writer *);

#endif /* measure-record-writer.h */
