/* SPDX-License-Identifier: Apache-2.0 */
/* Files with the records of packets. */

#include <config.h>

#include "stream/measure-record-file.h"

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
#define MAX_HEADER 4096
#define MAX_PORT_NAME 255

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

static uint32_t
block_crc(const struct measure_record_block_header *header,
          const void *payload)
{
    size_t from = offsetof(struct measure_record_block_header, kind);
    uint32_t crc = measure_crc32c(0, (const uint8_t *) header + from,
                                  sizeof *header - from);

    return measure_crc32c(crc, payload, header->stored_size);
}

/* Writing. */

/* What has been written of one ring, and its next block. */
struct written_source {
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
    size_t n_sources;
    struct written_source *sources;
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
    header->crc = block_crc(header, payload);
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
            uint16_t entry[2] = { number, measure_min(strlen(name),
                                                      MAX_PORT_NAME) };

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
flush_source(struct measure_record_writer *w, struct written_source *s)
{
    struct measure_record_block_header header = {
        .kind = MEASURE_RECORD_SLOTS,
        .flags = s->written ? 0 : MEASURE_RECORD_BEGINS,
        .size = s->n_slots * sizeof *s->slots,
        .source = s - w->sources,
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

static struct written_source *
get_source(struct measure_record_writer *w, uint32_t number)
{
    if (number >= w->n_sources) {
        w->sources = measure_xrealloc(w->sources,
                                      (number + 1) * sizeof *w->sources);
        memset(w->sources + w->n_sources, 0,
               (number + 1 - w->n_sources) * sizeof *w->sources);
        w->n_sources = number + 1;
    }
    return &w->sources[number];
}

/* Begins a ring with the number 'source'; one that had it has ended.  That
 * need not be said if no number is used again.  Returns false after an
 * error. */
bool
measure_record_writer_begin(struct measure_record_writer *w, uint32_t source)
{
    if (source < w->n_sources) {
        struct written_source *s = &w->sources[source];
        struct measure_slot *slots = s->slots;

        measure_record_writer_flush(w);
        *s = (struct written_source) { .slots = slots };
    }
    return !w->error;
}

/* Adds a record of a packet or a mark of ring 'source', a number below
 * MEASURE_RECORD_MAX_SOURCES, which the thread of 'core_id' writes.  Slots
 * that only fill a ring are left out.  Returns false, and counts the packet as
 * lost, after an error. */
bool
measure_record_writer_put(struct measure_record_writer *w, uint32_t source,
                          uint32_t core_id, const struct measure_slot *slots)
{
    enum measure_slot_kind kind = measure_slot_kind(slots);
    unsigned int n = measure_slot_size(slots);
    struct written_source *s;

    if (kind == MEASURE_SLOT_FILL) {
        return !w->error;
    }
    if (!w->error && source >= MEASURE_RECORD_MAX_SOURCES) {
        w->error = measure_format("%s: ring %"PRIu32": a file has room for %d",
                                  w->name, source, MEASURE_RECORD_MAX_SOURCES);
    }
    if (w->error) {
        w->lost += kind != MEASURE_SLOT_MARK;
        return false;
    }
    s = get_source(w, source);
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
measure_record_writer_mark(struct measure_record_writer *w, uint32_t source,
                           uint32_t core_id, const struct measure_mark *mark)
{
    struct measure_slot slots[MEASURE_MARK_SLOTS];

    measure_slot_write_mark(slots, mark);
    return measure_record_writer_put(w, source, core_id, slots);
}

/* Writes what has not filled a block yet.  Returns false after an error. */
bool
measure_record_writer_flush(struct measure_record_writer *w)
{
    for (size_t i = 0; i < w->n_sources; i++) {
        flush_source(w, &w->sources[i]);
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
    for (size_t i = 0; i < w->n_sources; i++) {
        free(w->sources[i].slots);
    }
    free(w->sources);
    free(w->compressed);
    free(w->name);
    free(w);
    return error;
}

/* Reading. */

struct read_source {
    bool seen;
    uint32_t core_id;
    uint64_t total_records;
};

struct measure_record_reader {
    char *name;
    FILE *file;
    uint64_t offset;            /* Of what is read next. */
    uint64_t total_records;
    char *error;
    bool ended;
    uint8_t *stored;            /* The bytes of a block in the file... */
    size_t stored_size;
    uint8_t *block;             /* ...and decompressed. */
    size_t block_size;
    struct measure_port_names *ports;   /* Of the last block of ports, unless
                                         * taken. */
    size_t n_sources;
    struct read_source *sources;
};

static void
make_room(uint8_t **p, size_t *size, size_t needed)
{
    if (needed > *size) {
        *p = measure_xrealloc(*p, needed);
        *size = needed;
    }
}

/* Returns how many bytes there were. */
static size_t
read_bytes(struct measure_record_reader *r, void *p, size_t n)
{
    size_t got = n ? fread(p, 1, n, r->file) : 0;

    r->offset += got;
    return got;
}

static uint32_t
header_crc(const struct measure_record_file_header *header)
{
    return measure_crc32c(0, header, offsetof(
                              struct measure_record_file_header, crc));
}

/* Reads what stands in front of the first block.  Returns NULL or what is
 * wrong with it. */
static char *
read_file_header(struct measure_record_reader *r)
{
    struct measure_record_file_header header;
    size_t n = read_bytes(r, &header, sizeof header);
    uint8_t rest[MAX_HEADER];

    if (n < sizeof header.magic
        || (header.magic != MEASURE_RECORD_FILE_MAGIC
            && header.magic
               != __builtin_bswap64(MEASURE_RECORD_FILE_MAGIC))) {
        return measure_format("%s: not a record file of ovs-measure", r->name);
    }
    if (header.magic != MEASURE_RECORD_FILE_MAGIC) {
        return measure_format("%s: was written on a machine with another "
                              "order of bytes", r->name);
    }
    if (n < sizeof header) {
        return measure_format("%s: ends at offset %zu, in its header", r->name,
                              n);
    }
    if (header.crc != header_crc(&header)) {
        return measure_format("%s: its header is damaged, at offset 0",
                              r->name);
    }
    if (header.version != MEASURE_RECORD_FILE_VERSION
        || header.slot_size != sizeof(struct measure_slot)
        || (header.block_header_size
            != sizeof(struct measure_record_block_header))) {
        return measure_format("%s: version %"PRIu32" with slots of %"PRIu32
                              " bytes: this program reads version %d with "
                              "slots of %zu bytes", r->name, header.version,
                              header.slot_size, MEASURE_RECORD_FILE_VERSION,
                              sizeof(struct measure_slot));
    }
    if (header.header_size < sizeof header
        || header.header_size > MAX_HEADER) {
        return measure_format("%s: a header of %"PRIu32" bytes: valid are "
                              "%zu to %d", r->name, header.header_size,
                              sizeof header, MAX_HEADER);
    }
    n = header.header_size - sizeof header;
    if (read_bytes(r, rest, n) < n) {
        return measure_format("%s: ends at offset %"PRIu64", in its header",
                              r->name, r->offset);
    }
    return NULL;
}

/* Begins to read 'file', which is called 'name' and will be closed with the
 * reader, or now if something is wrong.  Returns NULL, or what that is, which
 * the caller frees. */
char *
measure_record_reader_open_stream(struct measure_record_reader **reader,
                                  FILE *file, const char *name)
{
    struct measure_record_reader *r = measure_xzalloc(sizeof *r);
    char *error;

    r->name = measure_format("%s", name);
    r->file = file;
    error = read_file_header(r);
    if (error) {
        measure_record_reader_close(r);
        return error;
    }
    *reader = r;
    return NULL;
}

/* The same for the file 'name', or the standard input if that is "-". */
char *
measure_record_reader_open(struct measure_record_reader **reader,
                           const char *name)
{
    bool standard_input = !strcmp(name, "-");
    int fd = (standard_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
              : open(name, O_RDONLY | O_CLOEXEC));
    FILE *file = fd < 0 ? NULL : fdopen(fd, "rb");

    if (!file) {
        char *error = measure_format("%s: cannot be opened: %s", name,
                                     strerror(errno));

        if (fd >= 0) {
            close(fd);
        }
        return error;
    }
    return measure_record_reader_open_stream(
        reader, file, standard_input ? "standard input" : name);
}

/* Returns NULL or what cannot be right in the header of a block, without a
 * look at the bytes that follow it. */
static char *
check_block_header(const struct measure_record_block_header *h)
{
    if (h->magic != MEASURE_RECORD_BLOCK_MAGIC) {
        return measure_format("no block begins here");
    }
    if (h->stored_size > MEASURE_RECORD_MAX_BLOCK
        || h->size > MEASURE_RECORD_MAX_BLOCK) {
        return measure_format("a block of %"PRIu32" bytes: valid are up to "
                              "%"PRIu64, (uint32_t) measure_max(h->size,
                                                          h->stored_size),
                              MEASURE_RECORD_MAX_BLOCK);
    }
    return NULL;
}

/* The same, of one whose checksum is right: what is wrong now is the fault of
 * the program that wrote it. */
static char *
check_block(const struct measure_record_reader *r,
            const struct measure_record_block_header *h)
{
    const struct read_source *s;

    if (h->compression != MEASURE_RECORD_PLAIN
        && h->compression != MEASURE_RECORD_ZSTD) {
        return measure_format("compression %d: this program knows 0 (none) "
                              "and 1 (zstd)", h->compression);
    }
    if (h->compression == MEASURE_RECORD_ZSTD
        && !measure_record_file_has_zstd()) {
        return measure_format("the block is compressed with zstd, and this "
                              "program was built without it");
    }
    if (h->compression == MEASURE_RECORD_PLAIN && h->stored_size != h->size) {
        return measure_format("%"PRIu32" bytes that should be %"PRIu32,
                              h->stored_size, h->size);
    }
    switch (h->kind) {
    case MEASURE_RECORD_SLOTS:
        if (h->source >= MEASURE_RECORD_MAX_SOURCES) {
            return measure_format("ring %"PRIu32": valid are 0 to %d",
                                  h->source, MEASURE_RECORD_MAX_SOURCES - 1);
        }
        if (h->size % sizeof(struct measure_slot)) {
            return measure_format("%"PRIu32" bytes are no whole slots",
                                  h->size);
        }
        s = (h->source < r->n_sources && !(h->flags & MEASURE_RECORD_BEGINS)
             ? &r->sources[h->source] : NULL);
        if (s && s->seen && s->core_id != h->core_id) {
            return measure_format("ring %"PRIu32" of core %"PRIu32" was that "
                                  "of core %"PRIu32" before", h->source,
                                  h->core_id, s->core_id);
        }
        if (h->total_records
            != (s ? s->total_records : 0) + h->n_records) {
            return measure_format("records of ring %"PRIu32" are missing: "
                                  "there should be %"PRIu64" up to here, and "
                                  "there are %"PRIu64, h->source,
                                  h->total_records,
                                  (s ? s->total_records : 0) + h->n_records);
        }
        return NULL;

    case MEASURE_RECORD_END:
        if (h->total_records != r->total_records) {
            return measure_format("records are missing: there should be "
                                  "%"PRIu64" in all, and there are %"PRIu64,
                                  h->total_records, r->total_records);
        }
        return NULL;

    case MEASURE_RECORD_PORTS:
        return NULL;

    default:
        return measure_format("a block of kind %d: this program knows 1 to "
                              "%d", h->kind, MEASURE_RECORD_END);
    }
}

static void
forget_ports(struct measure_port_names *ports)
{
    if (ports) {
        measure_port_names_destroy(ports);
        free(ports);
    }
}

/* Takes the names of ports from a block.  Returns NULL or what is wrong. */
static char *
read_ports(struct measure_record_reader *r, const uint8_t *p, size_t size,
           uint32_t n)
{
    struct measure_port_names *ports = measure_xzalloc(sizeof *ports);
    uint32_t n_found = 0;
    char *error = NULL;

    while (size && !error) {
        char name[MAX_PORT_NAME + 1];
        uint16_t entry[2];

        if (size < sizeof entry) {
            error = measure_format("half a port");
            break;
        }
        memcpy(entry, p, sizeof entry);
        p += sizeof entry;
        size -= sizeof entry;
        if (!entry[1] || entry[1] > MAX_PORT_NAME || entry[1] > size) {
            error = measure_format("port %d with a name of %d bytes", entry[0],
                                   entry[1]);
            break;
        }
        memcpy(name, p, entry[1]);
        name[entry[1]] = '\0';
        p += entry[1];
        size -= entry[1];
        if (strlen(name) != entry[1]
            || !measure_port_adopt(ports, entry[0], name)) {
            error = measure_format("port %d has no name that can be its own",
                                   entry[0]);
        }
        n_found++;
    }
    if (!error && n_found != n) {
        error = measure_format("%"PRIu32" ports that should be %"PRIu32,
                               n_found, n);
    }
    if (error) {
        forget_ports(ports);
        return error;
    }
    forget_ports(r->ports);
    r->ports = ports;
    return NULL;
}

/* Counts what is in the slots of a block.  Returns NULL or what is wrong. */
static char *
check_slots(const struct measure_slot *slots, size_t n_slots,
            const struct measure_record_block_header *h)
{
    uint32_t n_records = 0, n_marks = 0;

    for (size_t i = 0; i < n_slots; ) {
        enum measure_slot_kind kind = measure_slot_kind(&slots[i]);
        unsigned int n = measure_slot_size(&slots[i]);

        if (n > n_slots - i) {
            return measure_format("a record of %u slots in the last %zu of "
                                  "the block", n, n_slots - i);
        }
        n_marks += kind == MEASURE_SLOT_MARK;
        n_records += kind != MEASURE_SLOT_MARK && kind != MEASURE_SLOT_FILL;
        i += n;
    }
    if (n_records != h->n_records || n_marks != h->n_marks) {
        return measure_format("%"PRIu32" records and %"PRIu32" marks that "
                              "should be %"PRIu32" and %"PRIu32, n_records,
                              n_marks, h->n_records, h->n_marks);
    }
    return NULL;
}

/* Sets '*payload' to the bytes of a block as they were before they were
 * compressed. */
static char *
decompress(struct measure_record_reader *r,
           const struct measure_record_block_header *h,
           const uint8_t **payload)
{
    *payload = r->stored;
#ifdef HAVE_ZSTD
    if (h->compression == MEASURE_RECORD_ZSTD) {
        size_t size;

        make_room(&r->block, &r->block_size, h->size);
        size = ZSTD_decompress(r->block, h->size, r->stored, h->stored_size);
        if (ZSTD_isError(size)) {
            return measure_format("cannot be decompressed: %s",
                                  ZSTD_getErrorName(size));
        }
        if (size != h->size) {
            return measure_format("%zu bytes that should be %"PRIu32, size,
                                  h->size);
        }
        *payload = r->block;
    }
#else
    (void) h;
#endif
    return NULL;
}

/* What a block whose header and bytes are right has for the caller. */
static char *
use_block(struct measure_record_reader *r,
          const struct measure_record_block_header *h,
          struct measure_record_block *block)
{
    struct read_source *s;
    const uint8_t *payload;
    char *error = decompress(r, h, &payload);

    if (error) {
        return error;
    }
    block->kind = h->kind;
    switch (h->kind) {
    case MEASURE_RECORD_PORTS:
        return read_ports(r, payload, h->size, h->n_ports);

    case MEASURE_RECORD_SLOTS:
        block->slots = (const struct measure_slot *) (const void *) payload;
        block->n_slots = h->size / sizeof *block->slots;
        error = check_slots(block->slots, block->n_slots, h);
        if (error) {
            return error;
        }
        break;
    }
    block->source = h->source;
    block->core_id = h->core_id;
    block->begins = h->flags & MEASURE_RECORD_BEGINS;
    block->n_records = h->n_records;
    block->n_marks = h->n_marks;
    block->epoch = h->epoch;
    block->offered = h->offered;
    block->filtered = h->filtered;
    block->dropped = h->dropped;
    if (h->source >= r->n_sources) {
        r->sources = measure_xrealloc(r->sources,
                                      (h->source + 1) * sizeof *r->sources);
        memset(r->sources + r->n_sources, 0,
               (h->source + 1 - r->n_sources) * sizeof *r->sources);
        r->n_sources = h->source + 1;
    }
    s = &r->sources[h->source];
    if (block->begins) {
        s->total_records = 0;
    }
    s->seen = true;
    s->core_id = h->core_id;
    s->total_records += h->n_records;
    r->total_records += h->n_records;
    return NULL;
}

/* Reads the next block to '*block'.  Returns NULL or what is wrong with it. */
static char *
read_block(struct measure_record_reader *r, struct measure_record_block *block)
{
    struct measure_record_block_header h;
    size_t n = read_bytes(r, &h, sizeof h);
    char *error;

    if (!n) {
        return (ferror(r->file)
                ? measure_format("cannot be read: %s", strerror(errno))
                : measure_format("the file ends here and was not finished"));
    }
    if (n < sizeof h) {
        return measure_format("the file ends in the header of a block");
    }
    error = check_block_header(&h);
    if (error) {
        return error;
    }
    make_room(&r->stored, &r->stored_size, measure_max(h.stored_size, 1));
    n = read_bytes(r, r->stored, h.stored_size);
    if (n < h.stored_size) {
        return measure_format("the file ends after %zu of the %"PRIu32
                              " bytes of a block", n, h.stored_size);
    }
    if (block_crc(&h, r->stored) != h.crc) {
        return measure_format("the block is damaged: its checksum is wrong");
    }
    error = check_block(r, &h);
    if (error) {
        return error;
    }
    if (h.kind == MEASURE_RECORD_END) {
        uint8_t byte;

        r->ended = true;
        block->kind = MEASURE_RECORD_END;
        return (read_bytes(r, &byte, 1)
                ? measure_format("more bytes follow the end") : NULL);
    }
    return use_block(r, &h, block);
}

/* Reads the next block, of records or of ports, to '*block'.  After anything
 * but MEASURE_RECORD_BLOCK there is nothing more to read. */
enum measure_record_result
measure_record_reader_next(struct measure_record_reader *r,
                           struct measure_record_block *block)
{
    char *error;

    memset(block, 0, sizeof *block);
    if (r->error) {
        return MEASURE_RECORD_DAMAGED;
    }
    if (r->ended) {
        return MEASURE_RECORD_FINISHED;
    }
    block->offset = r->offset;
    error = read_block(r, block);
    if (error) {
        r->error = measure_format("%s: at offset %"PRIu64": %s; %"PRIu64
                                  " records before it can be used", r->name,
                                  block->offset, error, r->total_records);
        free(error);
        return MEASURE_RECORD_DAMAGED;
    }
    return r->ended ? MEASURE_RECORD_FINISHED : MEASURE_RECORD_BLOCK;
}

/* Returns the names of ports that the last block of ports had, which the
 * caller destroys and frees, or NULL if they have been taken before. */
struct measure_port_names *
measure_record_reader_take_ports(struct measure_record_reader *r)
{
    struct measure_port_names *ports = r->ports;

    r->ports = NULL;
    return ports;
}

/* Returns what is wrong with the file, or NULL. */
const char *
measure_record_reader_error(const struct measure_record_reader *r)
{
    return r->error;
}

/* Returns how many records of packets have been read. */
uint64_t
measure_record_reader_records(const struct measure_record_reader *r)
{
    return r->total_records;
}

/* Returns how many bytes have been read. */
uint64_t
measure_record_reader_offset(const struct measure_record_reader *r)
{
    return r->offset;
}

/* Returns the size of the file, or 0 if it is not known, as for a pipe. */
uint64_t
measure_record_reader_size(const struct measure_record_reader *r)
{
    int fd = fileno(r->file);
    struct stat status;

    return (fd >= 0 && !fstat(fd, &status) && S_ISREG(status.st_mode)
            ? status.st_size : 0);
}

void
measure_record_reader_close(struct measure_record_reader *r)
{
    if (r) {
        forget_ports(r->ports);
        fclose(r->file);
        free(r->sources);
        free(r->stored);
        free(r->block);
        free(r->error);
        free(r->name);
        free(r);
    }
}
