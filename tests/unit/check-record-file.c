/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of files with the records of packets. */

#include "check-common.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/measure-crc32c.h"
#include "check-slots.h"
#include "stream/measure-record-reader.h"
#include "stream/measure-record-writer.h"

#define N_RINGS 3
#define MAX_SLOTS 60000

static char directory[] = "check-record-file-XXXXXX";
static char name[sizeof directory + 10];

/* What was written of a ring, without what fills it. */
struct expected {
    struct measure_slot *slots;
    size_t n;
    uint64_t n_records;
};

static struct expected expected[N_RINGS];

/* Of all tests together, in the process that starts them: nothing is left even
 * if one fails. */
static void
make_directory(void)
{
    ck_assert(mkdtemp(directory) != NULL);
    snprintf(name, sizeof name, "%s/records", directory);
}

static void
remove_directory(void)
{
    unlink(name);
    rmdir(directory);
}

static void
begin(void)
{
    for (int i = 0; i < N_RINGS; i++) {
        expected[i].slots = calloc(MAX_SLOTS, sizeof(struct measure_slot));
    }
}

static void
end(void)
{
    unlink(name);
    for (int i = 0; i < N_RINGS; i++) {
        free(expected[i].slots);
    }
}

static struct measure_record_writer *
write_file(const char *file, bool zstd)
{
    struct measure_record_writer_options options = {
        .zstd = zstd, .time_ns = 17,
    };
    struct measure_record_writer *w;
    char *error = measure_record_writer_open(&w, file, &options);

    ck_assert_msg(!error, "%s", error);
    return w;
}

static struct measure_record_reader *
read_file(void)
{
    struct measure_record_reader *r;
    char *error = measure_record_reader_open(&r, name);

    ck_assert_msg(!error, "%s", error);
    return r;
}

static void
expect_error(char *error, const char *text)
{
    ck_assert_msg(error && strstr(error, text), "'%s' is not in '%s'", text,
                  error ? error : "no error");
    free(error);
}

static void
close_without_error(struct measure_record_writer *w)
{
    char *error = measure_record_writer_close(w);

    ck_assert_msg(!error, "%s", error);
}

/* Writes 'n' random records, marks and fillings of all rings, and expects
 * them.  Returns false after an error. */
static bool
put_some(struct measure_record_writer *w, struct random *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct measure_slot slots[MEASURE_SLOT_MAX];
        uint32_t ring = random_below(r, N_RINGS);
        struct expected *e = &expected[ring];
        uint32_t choice = random_below(r, 100);
        unsigned int n_slots;

        if (choice < 3) {
            measure_slot_write_fill(slots);
            if (!measure_record_writer_put(w, ring, ring + 10, slots)) {
                return false;
            }
            continue;
        } else if (choice < 10) {
            struct measure_mark mark;

            random_fill(r, &mark, sizeof mark);
            mark.end = false;
            mark.time_ns >>= 3;
            n_slots = MEASURE_MARK_SLOTS;
            measure_slot_write_mark(slots, &mark);
            if (!measure_record_writer_mark(w, ring, ring + 10, &mark)) {
                return false;
            }
        } else {
            n_slots = random_packet(r, slots);
            if (!measure_record_writer_put(w, ring, ring + 10, slots)) {
                return false;
            }
            e->n_records++;
        }
        REQUIRE(e->n + n_slots <= MAX_SLOTS);
        memcpy(e->slots + e->n, slots, n_slots * sizeof *slots);
        e->n += n_slots;
    }
    return true;
}

/* Reads to the end or the first block that is wrong.  What comes before that
 * must be what was written.  Returns how many slots there were. */
static size_t
read_expected(struct measure_record_reader *r,
              enum measure_record_result result)
{
    size_t n[N_RINGS] = { 0 }, sum = 0;
    struct measure_record_block block;
    enum measure_record_result next;
    uint64_t n_records = 0;

    while ((next = measure_record_reader_next(r, &block))
           == MEASURE_RECORD_BLOCK) {
        if (block.kind == MEASURE_RECORD_PORTS) {
            continue;
        }
        REQUIRE(block.ring < N_RINGS);
        REQUIRE(block.core_id == block.ring + 10);
        REQUIRE(block.n_slots <= MEASURE_RECORD_BLOCK_SLOTS);
        REQUIRE(n[block.ring] + block.n_slots <= expected[block.ring].n);
        REQUIRE(!memcmp(block.slots,
                        expected[block.ring].slots + n[block.ring],
                        block.n_slots * sizeof *block.slots));
        n[block.ring] += block.n_slots;
        sum += block.n_slots;
        n_records += block.n_records;
    }
    ck_assert_int_eq(next, result);
    ck_assert_uint_eq(measure_record_reader_records(r), n_records);
    if (result == MEASURE_RECORD_FINISHED) {
        for (int i = 0; i < N_RINGS; i++) {
            ck_assert_uint_eq(n[i], expected[i].n);
        }
        ck_assert_uint_eq(measure_record_reader_offset(r),
                          measure_record_reader_size(r));
        ck_assert(!measure_record_reader_error(r));
    }
    /* It stays so. */
    ck_assert_int_eq(measure_record_reader_next(r, &block), result);
    return sum;
}

START_TEST(what_is_written_is_read)
{
    struct random r = random_from(test_seed + _i);
    struct measure_record_writer *w;
    struct measure_record_reader *reader;

    if (_i && !measure_record_file_has_zstd()) {
        struct measure_record_writer_options options = { .zstd = true };

        expect_error(measure_record_writer_open(&w, name, &options), "zstd");
        return;
    }
    w = write_file(name, _i);
    for (int i = 0; i < 3; i++) {
        ck_assert(put_some(w, &r, 10000));
        ck_assert(measure_record_writer_flush(w));
    }
    ck_assert(!measure_record_writer_error(w));
    close_without_error(w);
    reader = read_file();
    read_expected(reader, MEASURE_RECORD_FINISHED);
    measure_record_reader_close(reader);
}
END_TEST

/* Compressed blocks are smaller, and those that would not be are left. */
START_TEST(zstd_compresses)
{
    uint64_t key[MEASURE_KEY_WORDS] = { 1 };
    struct measure_slot slot;
    struct measure_record_writer *w;
    struct measure_record_reader *reader;

    if (!measure_record_file_has_zstd()) {
        return;
    }
    w = write_file(name, true);
    measure_slot_write(&slot, MEASURE_NARROW, key, 5, 60, 0);
    for (int i = 0; i < 50000; i++) {
        ck_assert(measure_record_writer_put(w, 1, 11, &slot));
        expected[1].slots[expected[1].n++] = slot;
    }
    close_without_error(w);
    reader = read_file();
    read_expected(reader, MEASURE_RECORD_FINISHED);
    ck_assert_uint_lt(measure_record_reader_offset(reader), 50000);
    measure_record_reader_close(reader);
}
END_TEST

/* What the last mark said stands in the header of a block. */
START_TEST(blocks_tell_the_last_mark)
{
    struct measure_mark mark = {
        .epoch = 7, .offered = 100, .filtered = 20, .dropped = 3,
        .records = 77,
    };
    uint64_t key[MEASURE_KEY_WORDS] = { 0 };
    struct measure_slot slot;
    struct measure_record_block block;
    struct measure_record_writer *w = write_file(name, false);
    struct measure_record_reader *reader;

    measure_slot_write(&slot, MEASURE_NARROW, key, 5, 60, 0);
    ck_assert(measure_record_writer_mark(w, 0, 5, &mark));
    ck_assert(measure_record_writer_flush(w));
    ck_assert(measure_record_writer_put(w, 0, 5, &slot));
    close_without_error(w);

    reader = read_file();
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(measure_record_reader_next(reader, &block),
                         MEASURE_RECORD_BLOCK);
        ck_assert_uint_eq(block.epoch, 7);
        ck_assert_uint_eq(block.offered, 100);
        ck_assert_uint_eq(block.filtered, 20);
        ck_assert_uint_eq(block.dropped, 3);
        ck_assert_uint_eq(block.n_marks, !i);
        ck_assert_uint_eq(block.n_records, i);
    }
    ck_assert_int_eq(measure_record_reader_next(reader, &block),
                     MEASURE_RECORD_FINISHED);
    measure_record_reader_close(reader);
}
END_TEST

START_TEST(ports_have_names)
{
    struct measure_port_names written;
    struct measure_record_writer *w
        = write_file(name, measure_record_file_has_zstd());
    struct measure_record_reader *reader;
    struct measure_record_block block;

    memset(&written, 0, sizeof written);
    ck_assert(measure_port_adopt(&written, 3, "eth0"));
    ck_assert(measure_port_adopt(&written, MEASURE_MAX_PORT, "vhost-user-1"));
    ck_assert(!measure_port_adopt(&written, 3, "eth1"));
    ck_assert(!measure_port_adopt(&written, 0, "eth2"));
    ck_assert(!measure_port_adopt(&written, MEASURE_MAX_PORT + 1, "eth2"));
    ck_assert(measure_record_writer_ports(w, &written));
    ck_assert(measure_port_adopt(&written, 4, "eth1"));
    ck_assert(measure_record_writer_ports(w, &written));
    ck_assert(measure_record_writer_ports(w, NULL));
    close_without_error(w);

    reader = read_file();
    for (int i = 0; i < 3; i++) {
        struct measure_port_names *ports;

        ck_assert_int_eq(measure_record_reader_next(reader, &block),
                         MEASURE_RECORD_BLOCK);
        ck_assert_int_eq(block.kind, MEASURE_RECORD_PORTS);
        if (i == 1) {
            continue;           /* Not taken. */
        }
        ports = measure_record_reader_take_ports(reader);
        for (int j = 0; j <= MEASURE_MAX_PORT; j++) {
            const char *now = measure_port_name(ports, j);

            if (i == 0 && j == 3) {
                ck_assert_str_eq(now, "eth0");
            } else if (i == 0 && j == MEASURE_MAX_PORT) {
                ck_assert_str_eq(now, "vhost-user-1");
            } else {
                ck_assert(!now);
            }
        }
        measure_port_names_destroy(ports);
        free(ports);
        ck_assert(!measure_record_reader_take_ports(reader));
    }
    measure_record_reader_close(reader);
    measure_port_names_destroy(&written);
}
END_TEST

/* Writes a small file of several blocks.  Returns its bytes, and in '*starts'
 * where its '*n' blocks begin. */
static uint8_t *
small_file(bool zstd, size_t *size, uint64_t starts[20], size_t *n)
{
    struct random r = random_from(test_seed);
    struct measure_port_names ports;
    struct measure_record_writer *w = write_file(name, zstd);
    struct measure_record_reader *reader;
    struct measure_record_block block;
    uint8_t *bytes;
    FILE *file;

    memset(&ports, 0, sizeof ports);
    measure_port_adopt(&ports, 1, "p1");
    measure_record_writer_ports(w, &ports);
    for (int i = 0; i < 2; i++) {
        ck_assert(put_some(w, &r, 12));
        ck_assert(measure_record_writer_flush(w));
    }
    close_without_error(w);
    measure_port_names_destroy(&ports);

    reader = read_file();
    *n = 0;
    do {
        starts[*n] = measure_record_reader_offset(reader);
        ++*n;
    } while (measure_record_reader_next(reader, &block)
             == MEASURE_RECORD_BLOCK);
    *size = measure_record_reader_offset(reader);
    measure_record_reader_close(reader);

    bytes = malloc(*size);
    file = fopen(name, "rb");
    ck_assert_uint_eq(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

/* Reads 'size' bytes as a file that is wrong from 'offset' on, which is the
 * beginning of a block or 0. */
static void
read_wrong(uint8_t *bytes, size_t size, uint64_t offset, const char *text)
{
    FILE *file = fmemopen(bytes, size ? size : 1, "rb");
    struct measure_record_reader *r;
    char *error, *at;

    if (!size) {
        fgetc(file);
    }
    error = measure_record_reader_open_stream(&r, file, "name");
    if (error) {
        REQUIRE(!offset && strstr(error, text));
        free(error);
        return;
    }
    read_expected(r, MEASURE_RECORD_DAMAGED);
    at = measure_format("name: at offset %"PRIu64": ", offset);
    ck_assert_msg(strstr(measure_record_reader_error(r), at)
                  && strstr(measure_record_reader_error(r), text),
                  "'%s' instead of '%s ... %s'",
                  measure_record_reader_error(r), at, text);
    free(at);
    measure_record_reader_close(r);
}

/* Cut anywhere: everything in front of the block that is cut is there. */
START_TEST(cut_files_are_used_up_to_there)
{
    uint64_t starts[20];
    size_t size, n;
    uint8_t *bytes = small_file(_i && measure_record_file_has_zstd(), &size,
                                starts, &n);
    size_t block = 0;

    ck_assert_uint_ge(n, 5);
    for (size_t i = 0; i < size; i++) {
        while (block < n && starts[block] <= i) {
            block++;
        }
        read_wrong(bytes, i, block ? starts[block - 1] : 0,
                   i < 8 ? "not a record file"
                   : i < 64 ? "in its header"
                   : "the file ends");
    }
    free(bytes);
}
END_TEST

/* With any bit the other way round. */
START_TEST(damage_is_found)
{
    uint64_t starts[20];
    size_t size, n, block = 0;
    uint8_t *bytes = small_file(_i && measure_record_file_has_zstd(), &size,
                                starts, &n);

    for (size_t i = 0; i < size * 8; i++) {
        while (block < n && starts[block] <= i / 8) {
            block++;
        }
        bytes[i / 8] ^= 1 << i % 8;
        read_wrong(bytes, size, block ? starts[block - 1] : 0, "");
        bytes[i / 8] ^= 1 << i % 8;
    }
    free(bytes);
}
END_TEST

/* A block that is not there, or twice, is missed by the next of its ring or
 * by the end. */
START_TEST(missing_blocks_are_found)
{
    uint64_t starts[20];
    size_t size, n;
    uint8_t *bytes = small_file(false, &size, starts, &n);

    /* The first one is of ports. */
    for (size_t i = 1; i + 1 < n; i++) {
        size_t left_out = starts[i + 1] - starts[i];
        uint8_t *less = malloc(size - left_out);
        FILE *file;
        struct measure_record_reader *r;
        struct measure_record_block block;
        enum measure_record_result result;

        memcpy(less, bytes, starts[i]);
        memcpy(less + starts[i], bytes + starts[i + 1],
               size - starts[i + 1]);
        file = fmemopen(less, size - left_out, "rb");
        ck_assert(!measure_record_reader_open_stream(&r, file, "name"));
        do {
            result = measure_record_reader_next(r, &block);
        } while (result == MEASURE_RECORD_BLOCK);
        ck_assert_int_eq(result, MEASURE_RECORD_DAMAGED);
        ck_assert_msg(strstr(measure_record_reader_error(r), "missing"), "%s",
                      measure_record_reader_error(r));
        measure_record_reader_close(r);
        free(less);
    }
    free(bytes);
}
END_TEST

/* The header of a file that this program does not read. */
START_TEST(other_files_are_refused)
{
    struct measure_record_file_header header;
    uint64_t starts[20];
    size_t size, n;
    uint8_t *bytes = small_file(false, &size, starts, &n);
    uint8_t *more = malloc(size + 1);
    struct measure_record_reader *r;

    memcpy(&header, bytes, sizeof header);
    header.version = 2;
    header.crc = measure_crc32c(0, &header, sizeof header - sizeof header.crc);
    memcpy(bytes, &header, sizeof header);
    read_wrong(bytes, size, 0, "version 2");
    header.version = MEASURE_RECORD_FILE_VERSION;
    header.slot_size = 16;
    header.crc = measure_crc32c(0, &header, sizeof header - sizeof header.crc);
    memcpy(bytes, &header, sizeof header);
    read_wrong(bytes, size, 0, "slots of 16 bytes");
    header.slot_size = 32;
    header.header_size = 63;
    header.crc = measure_crc32c(0, &header, sizeof header - sizeof header.crc);
    memcpy(bytes, &header, sizeof header);
    read_wrong(bytes, size, 0, "63 bytes");
    header.header_size = 64;
    header.magic = __builtin_bswap64(header.magic);
    memcpy(bytes, &header, sizeof header);
    read_wrong(bytes, size, 0, "order of bytes");
    header.magic = __builtin_bswap64(header.magic);
    header.crc = measure_crc32c(0, &header, sizeof header - sizeof header.crc);
    memcpy(bytes, &header, sizeof header);

    memcpy(more, bytes, size);
    more[size] = 0;
    read_wrong(more, size + 1, starts[n - 1], "more bytes follow");

    expect_error(measure_record_reader_open(&r, directory), directory);
    unlink(name);
    expect_error(measure_record_reader_open(&r, name), "No such file");
    free(more);
    free(bytes);
}
END_TEST

/* Files may be no larger than some bytes: what is in them stays readable, and
 * all records are there or said to be lost. */
START_TEST(full_disk)
{
    struct random r = random_from(test_seed + _i);
    struct rlimit limit = { 200000 + random_below(&r, 300000), RLIM_INFINITY };
    struct measure_record_writer *w = write_file(name, false);
    struct measure_record_reader *reader;
    uint64_t n_expected = 0;
    uint64_t lost;
    char *error, *text;

    signal(SIGXFSZ, SIG_IGN);
    ck_assert(!setrlimit(RLIMIT_FSIZE, &limit));
    while (put_some(w, &r, 1)) {
        continue;
    }
    ck_assert(!put_some(w, &r, 100));
    for (int i = 0; i < N_RINGS; i++) {
        n_expected += expected[i].n_records;
    }
    ck_assert(strstr(measure_record_writer_error(w), name));
    ck_assert(strstr(measure_record_writer_error(w), "File too large"));
    ck_assert(strstr(measure_record_writer_error(w), "can be read"));
    measure_record_writer_flush(w);
    error = measure_record_writer_close(w);
    text = strrchr(error, ';');
    ck_assert(text && strstr(text, " later ones are lost"));
    lost = strtoull(text + 1, NULL, 10);
    free(error);
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert(!setrlimit(RLIMIT_FSIZE, &limit));

    reader = read_file();
    ck_assert_uint_gt(read_expected(reader, MEASURE_RECORD_DAMAGED), 0);
    ck_assert(strstr(measure_record_reader_error(reader),
                     "was not finished"));
    /* What put() refused is lost, but was not expected. */
    ck_assert_uint_ge(measure_record_reader_records(reader) + lost,
                      n_expected);
    ck_assert_uint_le(measure_record_reader_records(reader) + lost,
                      n_expected + 2);
    measure_record_reader_close(reader);
}
END_TEST

/* What a shell appends to stays. */
START_TEST(full_disk_after_another_file)
{
    struct random r = random_from(test_seed);
    struct rlimit limit = { 250000, RLIM_INFINITY };
    struct measure_record_writer_options options = { .zstd = false };
    struct measure_record_writer *w;
    struct measure_record_reader *reader;
    int out = dup(STDOUT_FILENO);
    char before[1000];
    FILE *file;
    int fd;

    memset(before, 'x', sizeof before);
    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_eq(write(fd, before, sizeof before), sizeof before);
    close(fd);
    fd = open(name, O_WRONLY | (_i ? O_APPEND : 0));
    if (!_i) {
        lseek(fd, sizeof before, SEEK_SET);
    }
    dup2(fd, STDOUT_FILENO);
    ck_assert_ptr_null(measure_record_writer_open(&w, "-", &options));
    dup2(out, STDOUT_FILENO);
    close(out);
    close(fd);

    signal(SIGXFSZ, SIG_IGN);
    ck_assert(!setrlimit(RLIMIT_FSIZE, &limit));
    while (put_some(w, &r, 1)) {
        continue;
    }
    free(measure_record_writer_close(w));
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert(!setrlimit(RLIMIT_FSIZE, &limit));

    file = fopen(name, "rb");
    for (size_t i = 0; i < sizeof before; i++) {
        REQUIRE(getc(file) == 'x');
    }
    ck_assert_ptr_null(measure_record_reader_open_stream(&reader, file, name));
    ck_assert_uint_gt(read_expected(reader, MEASURE_RECORD_DAMAGED), 0);
    ck_assert(strstr(measure_record_reader_error(reader),
                     "the file ends here and was not finished"));
    measure_record_reader_close(reader);
}
END_TEST

START_TEST(devices_that_are_full)
{
    struct measure_record_writer_options options = { .zstd = false };
    struct measure_record_writer *w;

    if (access("/dev/full", W_OK)) {
        return;
    }
    expect_error(measure_record_writer_open(&w, "/dev/full", &options),
                 "No space left");
    expect_error(measure_record_writer_open(&w, "/nowhere/x", &options),
                 "No such file");
}
END_TEST

/* Of a ring that is slow, and one that is fast: blocks that follow each other
 * with rising numbers are a group, and nothing behind it was put before it. */
START_TEST(blocks_come_in_groups)
{
    struct measure_record_writer *w = write_file(name, false);
    struct random r = random_from(test_seed);
    struct measure_record_reader *reader;
    struct measure_record_block block;
    uint64_t last_end_ns = 0, end_ns = 0;
    uint32_t last = UINT32_MAX;
    unsigned int n_groups = 0;

    for (uint64_t i = 0; i < 50000; i++) {
        struct measure_slot slots[MEASURE_SLOT_MAX];

        random_packet(&r, slots);
        slots->words[2] = (slots->words[2] & ~MEASURE_SLOT_TIME_MASK) | i;
        ck_assert(measure_record_writer_put(w, random_below(&r, 100) == 0, 0,
                                            slots));
    }
    close_without_error(w);
    reader = read_file();
    while (measure_record_reader_next(reader, &block)
           == MEASURE_RECORD_BLOCK) {
        if (block.ring <= last) {
            n_groups++;
            last_end_ns = end_ns;
        }
        last = block.ring;
        for (size_t i = 0; i < block.n_slots;
             i += measure_slot_size(&block.slots[i])) {
            uint64_t time_ns = measure_slot_time_ns(&block.slots[i]);

            REQUIRE(n_groups == 1 || time_ns > last_end_ns);
            end_ns = measure_max(end_ns, time_ns);
        }
    }
    ck_assert_uint_gt(n_groups, 10);
    ck_assert_uint_eq(measure_record_reader_records(reader), 50000);
    measure_record_reader_close(reader);
}
END_TEST

START_TEST(too_many_rings)
{
    struct measure_record_writer *w = write_file(name, false);
    struct measure_slot slots[MEASURE_SLOT_MAX];
    struct random r = random_from(test_seed);

    random_packet(&r, slots);
    ck_assert(measure_record_writer_put(w, MEASURE_RECORD_MAX_RINGS - 1, 0,
                                        slots));
    ck_assert(!measure_record_writer_put(w, MEASURE_RECORD_MAX_RINGS, 0,
                                         slots));
    expect_error(measure_record_writer_close(w),
                 "a file has room for 4096; 2 later ones are lost");
}
END_TEST

/* Ten thousand rings, two at a time, under two numbers. */
START_TEST(numbers_are_used_again)
{
    struct measure_record_writer *w = write_file(name, false);
    struct measure_record_reader *r;
    struct measure_record_block block;
    uint64_t key[MEASURE_KEY_WORDS] = { 0 };
    struct measure_slot slot;

    measure_slot_write(&slot, MEASURE_NARROW, key, 1, 60, 0);
    for (uint32_t i = 0; i < 10000; i++) {
        struct measure_mark mark = { .epoch = i, .dropped = i };

        ck_assert(measure_record_writer_begin(w, i % 2));
        for (uint32_t j = 0; j <= i % 3; j++) {
            ck_assert(measure_record_writer_put(w, i % 2, i, &slot));
        }
        ck_assert(measure_record_writer_mark(w, i % 2, i, &mark));
        if (i % 5 == 0) {
            ck_assert(measure_record_writer_flush(w));
            ck_assert(measure_record_writer_put(w, i % 2, i, &slot));
        }
    }
    close_without_error(w);
    r = read_file();
    for (uint32_t i = 0, n = 0; n < 10000; ) {
        REQUIRE(measure_record_reader_next(r, &block)
                == MEASURE_RECORD_BLOCK);
        if (block.begins) {
            n++;
            i = block.core_id;
            REQUIRE(block.n_records == i % 3 + 1);
        } else {
            REQUIRE(block.core_id % 5 == 0 && block.n_records == 1);
        }
        REQUIRE(block.ring == block.core_id % 2);
        REQUIRE(block.dropped == block.core_id);
    }
    while (measure_record_reader_next(r, &block) == MEASURE_RECORD_BLOCK) {
        REQUIRE(!block.begins);
    }
    ck_assert(!measure_record_reader_error(r));
    measure_record_reader_close(r);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-record-file");

    tcase_add_unchecked_fixture(tests, make_directory, remove_directory);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_loop_test(tests, what_is_written_is_read, 0, 2);
    tcase_add_test(tests, numbers_are_used_again);
    tcase_add_test(tests, zstd_compresses);
    tcase_add_test(tests, blocks_tell_the_last_mark);
    tcase_add_test(tests, ports_have_names);
    tcase_add_loop_test(tests, cut_files_are_used_up_to_there, 0, 2);
    tcase_add_loop_test(tests, damage_is_found, 0, 2);
    tcase_add_test(tests, missing_blocks_are_found);
    tcase_add_test(tests, other_files_are_refused);
    tcase_add_loop_test(tests, full_disk, 0, 3);
    tcase_add_loop_test(tests, full_disk_after_another_file, 0, 2);
    tcase_add_test(tests, blocks_come_in_groups);
    tcase_add_test(tests, devices_that_are_full);
    tcase_add_test(tests, too_many_rings);
    return tests_run(tests);
}
