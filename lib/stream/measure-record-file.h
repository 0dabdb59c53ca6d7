/* SPDX-License-Identifier: Apache-2.0 */
/* Files with the records of packets. */

#ifndef MEASURE_RECORD_FILE_H
#define MEASURE_RECORD_FILE_H 1

#include "stream/measure-slot.h"

/* Record files
 * ============
 *
 * A file has the slots of rings (measure-slot.h) as they were: records of
 * packets and marks, in the order of each ring.  doc/record-files.md has the
 * format for others who want to read it.
 *
 *     file header | ports | records of ring 0 | records of ring 1 | ... | end
 *
 * Behind the header of the file follow blocks.  A block is of one ring, has a
 * header that says how long it is, and a CRC32C over all of it.  What is wrong
 * with a block is found before any of it is used, and whatever stands in front
 * of it remains usable.  The last block says how much there must have been: a
 * file without it was not finished.
 *
 * Blocks may be compressed with zstd, each for itself.  A program that was
 * built without zstd says so when it meets one.
 *
 * Groups.  The blocks of all rings are written together, in the order of their
 * numbers: a group.  There are no records behind a group that were put before
 * it, and a reader can give what is in it in the order of time.
 *
 * measure-record-writer.h and measure-record-reader.h have what writes and
 * reads such files.
 *
 * Thread safety: no state. */

#define MEASURE_RECORD_FILE_MAGIC UINT64_C(0x736365722d73766f) /* "ovs-recs" */
#define MEASURE_RECORD_FILE_VERSION 1
#define MEASURE_RECORD_BLOCK_MAGIC UINT32_C(0x6b6c622d)        /* "-blk" */
#define MEASURE_RECORD_BLOCK_SLOTS 4096
#define MEASURE_RECORD_MAX_BLOCK (4 * MEASURE_MIB)
#define MEASURE_RECORD_MAX_RINGS 4096
#define MEASURE_RECORD_MAX_PORT_NAME 255        /* Bytes. */

/* All numbers are in the byte order of the machine that wrote the file. */
struct measure_record_file_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_size;       /* Bytes: the first block follows. */
    uint32_t slot_size;
    uint32_t block_header_size;
    uint64_t time_ns;           /* When it was begun, or 0. */
    uint8_t unused[28];
    uint32_t crc;               /* Of all that stands before it. */
};

static_assert(sizeof(struct measure_record_file_header) == 64
              && offsetof(struct measure_record_file_header, crc) == 60,
              "the header of a file");

enum measure_record_block_kind {
    MEASURE_RECORD_SLOTS = 1,   /* Records and marks of one ring. */
    MEASURE_RECORD_PORTS = 2,   /* Names of ports, all that there are. */
    MEASURE_RECORD_END = 3,     /* The file is complete. */
};

enum measure_record_compression {
    MEASURE_RECORD_PLAIN = 0,
    MEASURE_RECORD_ZSTD = 1,
};

#define MEASURE_RECORD_BEGINS 1 /* The first block of its ring. */

struct measure_record_block_header {
    uint32_t magic;
    uint32_t crc;               /* Of the rest of the header and the bytes that
                                 * follow it in the file. */
    uint8_t kind;               /* enum measure_record_block_kind. */
    uint8_t compression;        /* enum measure_record_compression. */
    uint16_t flags;             /* MEASURE_RECORD_*. */
    uint32_t stored_size;       /* Bytes that follow in the file... */
    uint32_t size;              /* ...and that they are, decompressed. */
    uint32_t ring;              /* Number of the ring in this file, from 0.
                                 * One that has ended may have had it. */
    uint32_t core_id;           /* Of the thread that wrote it. */
    uint32_t n_records;         /* Of packets. */
    uint32_t n_marks;
    uint32_t n_ports;
    uint64_t epoch;             /* Of the last mark of this ring so far... */
    uint64_t offered;           /* ...and what it says. */
    uint64_t filtered;
    uint64_t dropped;
    uint64_t total_records;     /* Of this ring so far, with this block; of
                                 * all rings in the last block. */
};

static_assert(sizeof(struct measure_record_block_header) == 80,
              "the header of a block");

bool measure_record_file_has_zstd(void);
uint32_t measure_record_block_crc(const struct measure_record_block_header *,
                                  const void *payload);

#endif /* measure-record-file.h */
