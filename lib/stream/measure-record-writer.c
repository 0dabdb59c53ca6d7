/* SPDX-License-Identifier: Apache-2.0 */
/* Writing of record files. */

#include <config.h>

#include "stream/measure-record-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "base/measure-base.h"
#include "base/measure-crc32c.h"

#define BLOCK_BYTES (MEASURE_RECORD_BLOCK_SLOTS * sizeof(struct measure_slot))

/* What has been written of one ring, and its next block. */
struct written_ring {
    struct measure_slot *slots; /* NULL as long as there are none. */
    size_t n_slots;
    bool begun;                 /* There were slots. */
    bool written;               /* There was a block. */
    uint32_t core_id;
    uint32_t n_records;         /* In 'slots'. */
    uint32_t n_marks;
    uint64_t total_records;     /* In the blocks before. */
    struct measure_mark mark;   /* The last one. */
};

struct measure_record_writer {
    char *name;
    int fd;
    bool zstd;
    int level;
    void *compressed;           /* Room for a block, or NULL. */
    size_t compressed_size;
    off_t begin;                /* Of ours in the file, to which a shell may
                                 * append. */
    uint64_t offset;            /* Where the next block begins, from there. */
    uint64_t total_records;     /* In blocks. */
    uint64_t lost;
    char *error;
    size_t n_rings;
    struct written_ring *rings;
};

/* Writes all of 'n' pieces.  Returns 0 or an errno. */
static int
write_all(int fd, struct iovec *pieces, int n)
{
    while (n > 0) {
        ssize_t written = writev(fd, pieces, n);

        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        while (n > 0 && (size_t) written >= pieces->iov_len) {
            written -= pieces->iov_len;
            pieces++;
            n--;
        }
        if (n > 0) {
            pieces->iov_base = (uint8_t *) pieces->iov_base + written;
            pieces->iov_len -= written;
        }
    }
    return 0;
}

/* Nothing more can be written, because of 'error', an errno.  What is there of
 * the block that could not be finished is cut off, if this is a file that can
 * be cut. */
static void
fail(struct measure_record_writer *w, int error)
{
    struct stat status;
    bool cut = (!fstat(w->fd, &status) && S_ISREG(status.st_mode)
                && !ftruncate(w->fd, w->begin + w->offset));

    w->error = measure_format("%s: cannot write: %s; the first %"PRIu64
                              " records %s", w->name, strerror(error),
                              w->total_records,
                              cut ? "are in it, and can be read"
                              : "were written before");
}

/* Writes a block.  Returns false if that cannot be done. */
static bool
write_block(struct measure_record_writer *w,
            struct measure_record_block_header *header, const void *payload)
{
    struct iovec pieces[2];
    int error;

    header->magic = MEASURE_RECORD_BLOCK_MAGIC;
    header->stored_size = header->size;
#ifdef HAVE_ZSTD
    if (w->zstd && header->size) {
        size_t room = ZSTD_compressBound(header->size), size;

        if (room > w->compressed_size) {
            w->compressed = measure_xrealloc(w->compressed, room);
            w->compressed_size = room;
        }
        size = ZSTD_compress(w->compressed, room, payload, header->size,
                             w->level);
        if (!ZSTD_isError(size) && size < header->size) {
            header->compression = MEASURE_RECORD_ZSTD;
            header->stored_size = size;
            payload = w->compressed;
        }
    }
#endif
    header->crc = measure_record_block_crc(header, payload);
    pieces[0] = (struct iovec) { header, sizeof *header };
    pieces[1] = (struct iovec) { (void *) payload, header->stored_size };
    error = write_all(w->fd, pieces, header->stored_size ? 2 : 1);
    if (error) {
        fail(w, error);
        return false;
    }
    w->offset += sizeof *header + header->stored_size;
    return true;
}

/* Returns where in the file what is written to 'fd' will stand. */
static off_t
find_begin(int fd)
{
    off_t at = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END
                            : SEEK_CUR);

    return measure_max(at, 0);
}

/* Begins file 'name', "-" for the standard output, in '*writer'.  A file of
 * that name is replaced.  Returns NULL, or why it cannot be written, which the
 * caller frees. */
char *
measure_record_writer_open(struct measure_record_writer **writer,
                           const char *name,
                           const struct measure_record_writer_options *options)
{
    struct measure_record_file_header header = {
        .magic = MEASURE_RECORD_FILE_MAGIC,
        .version = MEASURE_RECORD_FILE_VERSION,
        .header_size = sizeof header,
        .slot_size = sizeof(struct measure_slot),
        .block_header_size = sizeof(struct measure_record_block_header),
        .time_ns = options->time_ns,
    };
    struct iovec piece = { &header, sizeof header };
    struct measure_record_writer *w;
    int error, fd;
    off_t begin;

    if (options->zstd && !measure_record_file_has_zstd()) {
        return measure_format("%s: cannot be compressed: this program was "
                              "built without zstd", name);
    }
    fd = (strcmp(name, "-") ? open(name, O_WRONLY | O_CREAT | O_TRUNC
                                   | O_CLOEXEC, 0666)
          : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
    if (fd < 0) {
        return measure_format("%s: cannot be opened for writing: %s", name,
                              strerror(errno));
    }
    header.crc = measure_crc32c(0, &header, offsetof(
                                    struct measure_record_file_header, crc));
    begin = find_begin(fd);
    error = write_all(fd, &piece, 1);
    if (error) {
        close(fd);
        return measure_format("%s: cannot write: %s", name, strerror(error));
    }
    w = measure_xzalloc(sizeof *w);
    w->name = measure_format("%s", name);
    w->fd = fd;
    w->zstd = options->zstd;
    w->level = options->level ? options->level : 1;
    w->begin = begin;
    w->offset = sizeof header;
    *writer = w;
    return NULL;
}

/* Writes the names of all ports that there are from now on.  Returns false if
 * that cannot be done. */
bool
measure_record_writer_ports(struct measure_record_writer *w,
                            const struct measure_port_names *ports)
{
    struct measure_record_block_header header = {
        .kind = MEASURE_RECORD_PORTS,
    };
    uint8_t *payload = NULL;
    bool ok;

    /* Records before it have the old names. */
    if (!measure_record_writer_flush(w)) {
        return false;
    }
    for (int number = 1; ports && number <= MEASURE_MAX_PORT; number++) {
        const char *name = measure_port_name(ports, number);

        if (name) {
            size_t length = measure_min(strlen(name),
                                        MEASURE_RECORD_MAX_PORT_NAME);
            uint16_t entry[2] = { number, length };

            payload = measure_xrealloc(payload, (header.size + sizeof entry
                                                 + entry[1]));
            memcpy(payload + header.size, entry, sizeof entry);
            memcpy(payload + header.size + sizeof entry, name, entry[1]);
            header.size += sizeof entry + entry[1];
            header.n_ports++;
        }
    }
    ok = write_block(w, &header, payload);
    free(payload);
    return ok;
}

/* Writes what there is of a ring.  Without success it is lost. */
static bool
flush_ring(struct measure_record_writer *w, struct written_ring *s)
{
    struct measure_record_block_header header = {
        .kind = MEASURE_RECORD_SLOTS,
        .flags = s->written ? 0 : MEASURE_RECORD_BEGINS,
        .size = s->n_slots * sizeof *s->slots,
        .ring = s - w->rings,
        .core_id = s->core_id,
        .n_records = s->n_records,
        .n_marks = s->n_marks,
        .epoch = s->mark.epoch,
        .offered = s->mark.offered,
        .filtered = s->mark.filtered,
        .dropped = s->mark.dropped,
        .total_records = s->total_records + s->n_records,
    };

    if (s->n_slots) {
        if (w->error || !write_block(w, &header, s->slots)) {
            w->lost += s->n_records;
        } else {
            s->written = true;
            s->total_records += s->n_records;
            w->total_records += s->n_records;
        }
        s->n_slots = s->n_records = s->n_marks = 0;
    }
    return !w->error;
}

static struct written_ring *
get_ring(struct measure_record_writer *w, uint32_t number)
{
    if (number >= w->n_rings) {
        w->rings = measure_xrealloc(w->rings,
                                      (number + 1) * sizeof *w->rings);
        memset(w->rings + w->n_rings, 0,
               (number + 1 - w->n_rings) * sizeof *w->rings);
        w->n_rings = number + 1;
    }
    return &w->rings[number];
}

/* Begins a ring with the number 'ring'; one that had it has ended.  That
 * need not be said if no number is used again.  Returns false after an
 * error. */
bool
measure_record_writer_begin(struct measure_record_writer *w, uint32_t ring)
{
    if (ring < w->n_rings) {
        struct written_ring *s = &w->rings[ring];
        struct measure_slot *slots = s->slots;

        measure_record_writer_flush(w);
        *s = (struct written_ring) { .slots = slots };
    }
    return !w->error;
}

/* Adds a record of a packet or a mark of ring 'ring', a number below
 * MEASURE_RECORD_MAX_RINGS, which the thread of 'core_id' writes.  Slots
 * that only fill a ring are left out.  Returns false, and counts the packet as
 * lost, after an error. */
bool
measure_record_writer_put(struct measure_record_writer *w, uint32_t ring,
                          uint32_t core_id, const struct measure_slot *slots)
{
    enum measure_slot_kind kind = measure_slot_kind(slots);
    unsigned int n = measure_slot_size(slots);
    struct written_ring *s;

    if (kind == MEASURE_SLOT_FILL) {
        return !w->error;
    }
    if (!w->error && ring >= MEASURE_RECORD_MAX_RINGS) {
        w->error = measure_format("%s: ring %"PRIu32": a file has room for %d",
                                  w->name, ring, MEASURE_RECORD_MAX_RINGS);
    }
    if (w->error) {
        w->lost += kind != MEASURE_SLOT_MARK;
        return false;
    }
    s = get_ring(w, ring);
    if (!s->slots) {
        s->slots = measure_check_memory(malloc(BLOCK_BYTES));
    }
    if (!s->begun) {
        s->begun = true;
        s->core_id = core_id;
    }
    /* All rings: see "groups" in the header. */
    if (s->n_slots + n > MEASURE_RECORD_BLOCK_SLOTS
        && !measure_record_writer_flush(w)) {
        w->lost += kind != MEASURE_SLOT_MARK;
        return false;
    }
    memcpy(&s->slots[s->n_slots], slots, n * sizeof *slots);
    s->n_slots += n;
    if (kind == MEASURE_SLOT_MARK) {
        measure_slot_mark(slots, &s->mark);
        s->n_marks++;
    } else {
        s->n_records++;
    }
    return true;
}

/* The same for a mark that is not in slots. */
bool
measure_record_writer_mark(struct measure_record_writer *w, uint32_t ring,
                           uint32_t core_id, const struct measure_mark *mark)
{
    struct measure_slot slots[MEASURE_MARK_SLOTS];

    measure_slot_write_mark(slots, mark);
    return measure_record_writer_put(w, ring, core_id, slots);
}

/* Writes what has not filled a block yet.  Returns false after an error. */
bool
measure_record_writer_flush(struct measure_record_writer *w)
{
    for (size_t i = 0; i < w->n_rings; i++) {
        flush_ring(w, &w->rings[i]);
    }
    return !w->error;
}

/* Returns why nothing more is written, or NULL. */
const char *
measure_record_writer_error(const struct measure_record_writer *w)
{
    return w->error;
}

/* Finishes the file.  Returns NULL, or what went wrong with it at any time,
 * which the caller frees. */
char *
measure_record_writer_close(struct measure_record_writer *w)
{
    struct measure_record_block_header end = { .kind = MEASURE_RECORD_END };
    char *error;

    if (measure_record_writer_flush(w)) {
        end.total_records = w->total_records;
        write_block(w, &end, NULL);
    }
    if (close(w->fd) && !w->error) {
        w->error = measure_format("%s: cannot write: %s", w->name,
                                  strerror(errno));
    }
    error = w->error;
    if (error && w->lost) {
        measure_append(&error, "; %"PRIu64" later ones are lost", w->lost);
    }
    for (size_t i = 0; i < w->n_rings; i++) {
        free(w->rings[i].slots);
    }
    free(w->rings);
    free(w->compressed);
    free(w->name);
    free(w);
    return error;
}
