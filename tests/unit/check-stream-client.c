/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the reader of a bridge, with a switch that the tests play. */

#include <config.h>

#include "check-common.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "check-slots.h"
#include "stream/measure-stream-feed.h"
#include "stream/measure-stream-protocol.h"

#define N_SLOTS 256
#define MS UINT64_C(1000000)

static char directory[] = "check-stream-client-XXXXXX";
static int n_files;             /* Open when the test began. */
static uint64_t now_ns;

static uint64_t
fake_now_ns(void)
{
    return now_ns;
}

/* File descriptors that are open. */
static int
count_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

/* The switch. */

struct fake_ring {
    uint32_t id;
    uint32_t core_id;
    uint64_t size;
    int fd, cursor_fd;
    void *memory;
    struct measure_cursor *cursor;
    struct measure_ring_writer writer;
    struct measure_mark mark;
};

struct fake_switch {
    char path[100];
    int listener;
    int fd;
};

static void
switch_begin(struct fake_switch *s, const char *bridge)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    memset(s, 0, sizeof *s);
    snprintf(s->path, sizeof s->path, "%s/measure-stream.%s", directory,
             bridge);
    strcpy(address.sun_path, s->path);
    s->listener = socket(AF_UNIX,
                         SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert(!bind(s->listener, (struct sockaddr *) &address,
                    sizeof address));
    ck_assert(!listen(s->listener, 1));
    s->fd = -1;
}

static void
switch_hang_up(struct fake_switch *s)
{
    if (s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
}

static void
switch_end(struct fake_switch *s)
{
    switch_hang_up(s);
    close(s->listener);
    unlink(s->path);
}

static void
switch_accept(struct fake_switch *s)
{
    ck_assert_int_lt(s->fd, 0);
    s->fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    ck_assert_int_ge(s->fd, 0);
}

/* Sends 'size' bytes with 'n' file descriptors. */
static void
switch_send(struct fake_switch *s, const void *message, size_t size,
            const int *fds, size_t n)
{
    union {
        char bytes[CMSG_SPACE(100 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { (void *) message, size };
    struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (n) {
        struct cmsghdr *c;

        memset(&control, 0, sizeof control);
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(n * sizeof(int));
        c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    }
    REQUIRE(sendmsg(s->fd, &header, MSG_NOSIGNAL) == (ssize_t) size);
}

static struct measure_stream_hello
hello(void)
{
    return (struct measure_stream_hello) {
        .head = { MEASURE_STREAM_HELLO, sizeof(struct measure_stream_hello) },
        .magic = MEASURE_STREAM_MAGIC,
        .version = MEASURE_STREAM_VERSION,
        .bridge = "br0",
    };
}

static void
switch_hello(struct fake_switch *s)
{
    struct measure_stream_hello message = hello();

    switch_send(s, &message, sizeof message, NULL, 0);
}

static struct measure_stream_subscribe
switch_subscribed(struct fake_switch *s)
{
    struct measure_stream_subscribe message;

    ck_assert_int_eq(recv(s->fd, &message, sizeof message, 0),
                     sizeof message);
    ck_assert_uint_eq(message.head.type, MEASURE_STREAM_SUBSCRIBE);
    ck_assert_uint_eq(message.head.length, sizeof message);
    ck_assert_uint_eq(message.magic, MEASURE_STREAM_MAGIC);
    ck_assert_uint_eq(message.version, MEASURE_STREAM_VERSION);
    return message;
}

static void
switch_ready(struct fake_switch *s)
{
    struct measure_stream_head message = {
        MEASURE_STREAM_READY, sizeof message
    };

    switch_send(s, &message, sizeof message, NULL, 0);
}

static void
switch_port(struct fake_switch *s, uint32_t number, const char *name)
{
    struct measure_stream_port message = {
        .head = { MEASURE_STREAM_PORT, sizeof message },
        .number = number,
    };

    strcpy(message.name, name);
    switch_send(s, &message, sizeof message, NULL, 0);
}

static void
switch_error(struct fake_switch *s, int error, const char *text)
{
    struct measure_stream_error message = {
        .head = { MEASURE_STREAM_ERROR, sizeof message },
        .error = error,
        .version = 7,
    };

    strcpy(message.text, text);
    switch_send(s, &message, sizeof message, NULL, 0);
}

static int
make_file(size_t size, int seals)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    REQUIRE(!ftruncate(fd, size));
    REQUIRE(!fcntl(fd, F_ADD_SEALS, seals));
    return fd;
}

static void
ring_begin(struct fake_ring *r, uint32_t id, uint32_t core_id)
{
    memset(r, 0, sizeof *r);
    r->id = id;
    r->core_id = core_id;
    r->size = measure_ring_size(N_SLOTS);
    r->fd = make_file(r->size, F_SEAL_SHRINK);
    r->cursor_fd = make_file(4096, F_SEAL_SHRINK);
    r->memory = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
                     0);
    r->cursor = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
                     r->cursor_fd, 0);
    measure_ring_header_init(r->memory, N_SLOTS, core_id, 0);
    measure_ring_writer_init(&r->writer, r->memory);
    measure_ring_add_cursor(&r->writer, r->cursor);
}

static void
ring_end(struct fake_ring *r)
{
    munmap(r->memory, r->size);
    munmap(r->cursor, 4096);
    close(r->fd);
    close(r->cursor_fd);
}

static struct measure_stream_ring
ring_message(const struct fake_ring *r)
{
    return (struct measure_stream_ring) {
        .head = { MEASURE_STREAM_RING, sizeof(struct measure_stream_ring) },
        .id = r->id,
        .core_id = r->core_id,
        .n_slots = N_SLOTS,
        .size = r->size,
    };
}

static void
switch_ring(struct fake_switch *s, const struct fake_ring *r)
{
    struct measure_stream_ring message = ring_message(r);
    int fds[2] = { r->fd, r->cursor_fd };

    switch_send(s, &message, sizeof message, fds, 2);
}

/* The reader has answered RING. */
static void
switch_mapped(struct fake_switch *s, const struct fake_ring *r)
{
    struct measure_stream_mapped message;

    ck_assert_int_eq(recv(s->fd, &message, sizeof message, 0), sizeof message);
    ck_assert_uint_eq(message.head.type, MEASURE_STREAM_MAPPED);
    ck_assert_uint_eq(message.head.length, sizeof message);
    ck_assert_uint_eq(message.id, r->id);
}

static void
switch_ring_end(struct fake_switch *s, const struct fake_ring *r)
{
    struct measure_stream_ring_end message = {
        .head = { MEASURE_STREAM_RING_END, sizeof message },
        .id = r->id,
    };

    switch_send(s, &message, sizeof message, NULL, 0);
}

/* A packet comes: into the ring, or it is dropped or filtered. */
static void
ring_packet(struct fake_ring *r, struct random *random)
{
    struct measure_slot slots[MEASURE_SLOT_MAX], *to;
    unsigned int n = random_packet(random, slots);

    r->mark.offered++;
    __atomic_store_n(&r->writer.header->offered, r->mark.offered,
                     __ATOMIC_RELAXED);
    if (!random_below(random, 10)) {
        r->mark.filtered++;
        return;
    }
    to = measure_ring_reserve(&r->writer, n, MEASURE_MARK_SLOTS);
    if (!to) {
        r->mark.dropped++;
        return;
    }
    memcpy(to, slots, n * sizeof *slots);
    measure_ring_advance(&r->writer, n);
    r->mark.records++;
}

/* An epoch has ended. */
static void
ring_mark(struct fake_ring *r, uint64_t epoch)
{
    struct measure_slot *to = measure_ring_reserve(&r->writer,
                                                   MEASURE_MARK_SLOTS, 0);

    r->mark.epoch = epoch;
    if (to) {
        measure_slot_write_mark(to, &r->mark);
        measure_ring_advance(&r->writer, MEASURE_MARK_SLOTS);
    } else {
        r->mark.marks_lost++;
    }
    measure_ring_publish(&r->writer);
}

/* The reader. */

static struct measure_stream_client *
client_begin(bool wait)
{
    struct measure_stream_client_options options = {
        .run_directory = directory,
        .bridge = "br0",
        .name = "check",
        .n_slots = 4096,
        .headers = true,
        .wait = wait,
        .now_ns = fake_now_ns,
    };

    return measure_stream_client_create(&options);
}

static struct measure_stream_event
next_event(struct measure_stream_client *c,
           enum measure_stream_event_kind kind)
{
    struct measure_stream_event event;

    ck_assert(measure_stream_client_next(c, &event));
    ck_assert_msg(event.kind == kind, "event %d instead of %d: %s",
                  event.kind, kind, event.text ? event.text : "");
    return event;
}

static void
no_event(struct measure_stream_client *c)
{
    struct measure_stream_event event;
    bool any = measure_stream_client_next(c, &event);

    ck_assert_msg(!any, "unexpected event %d: %s", any ? event.kind : 0,
                  any && event.text ? event.text : "");
}

static void
expect_text(const char *text, const char *part)
{
    ck_assert_msg(text && strstr(text, part), "'%s' is not in '%s'", part,
                  text ? text : "");
}

/* Connects 'c' to 's' with the 'n' rings. */
static void
connect_client(struct fake_switch *s, struct measure_stream_client *c,
               const struct fake_ring *rings, size_t n)
{
    struct measure_stream_subscribe subscribe;

    measure_stream_client_work(c, 0);
    switch_accept(s);
    switch_hello(s);
    measure_stream_client_work(c, 0);
    subscribe = switch_subscribed(s);
    ck_assert_str_eq(subscribe.name, "check");
    ck_assert_uint_eq(subscribe.flags, MEASURE_STREAM_WANTS_HEADERS);
    ck_assert_uint_eq(subscribe.n_slots, 4096);
    for (size_t i = 0; i < n; i++) {
        switch_ring(s, &rings[i]);
    }
    switch_ready(s);
    measure_stream_client_work(c, 0);
    for (size_t i = 0; i < n; i++) {
        switch_mapped(s, &rings[i]);
    }
}

/* Reads all that is in 'ring', as an owner does.  Returns how many records. */
static uint64_t
read_all(struct measure_client_ring *ring)
{
    struct measure_ring_reader r;
    uint64_t n_records = 0, n;
    const struct measure_slot *slots;

    measure_ring_reader_init(&r, ring->header, ring->cursor, NULL);
    while ((n = measure_ring_peek(&r, &slots))) {
        for (uint64_t i = 0; i < n; i += measure_slot_size(&slots[i])) {
            if (measure_slot_kind(&slots[i]) == MEASURE_SLOT_MARK) {
                struct measure_mark mark;

                measure_slot_mark(&slots[i], &mark);
                measure_stream_account_mark(&ring->account, &mark);
            } else if (measure_slot_kind(&slots[i]) < MEASURE_SLOT_MARK) {
                measure_stream_account_packets(&ring->account, 1);
                n_records++;
            }
        }
        measure_ring_take(&r, n);
        measure_ring_release(&r);
    }
    return n_records;
}

/* What the account of 'ring' has come to. */
static struct measure_stream_sums
sums_of(struct measure_client_ring *ring)
{
    struct measure_stream_sums sums;

    measure_stream_account_get(&ring->account, &sums);
    return sums;
}

static void
begin(void)
{
    ck_assert(mkdtemp(directory) != NULL);
    n_files = count_files();
    now_ns = 5000 * MS;
}

static void
end(void)
{
    ck_assert_int_eq(count_files(), n_files);
    ck_assert_int_eq(rmdir(directory), 0);
}

/* From the greeting to the end of each ring. */
START_TEST(all_is_read_and_adds_up)
{
    struct random r = random_from(test_seed);
    struct measure_client_ring *rings[2];
    struct measure_stream_client *c = client_begin(false);
    struct measure_output *o;
    struct fake_switch s;
    struct fake_ring fake[2];
    uint64_t n_read[2] = { 0 };
    char *text, *line;

    switch_begin(&s, "br0");
    ring_begin(&fake[0], 4, 2);
    ring_begin(&fake[1], 9, UINT32_MAX);
    connect_client(&s, c, fake, 2);
    for (int i = 0; i < 2; i++) {
        rings[i] = next_event(c, MEASURE_STREAM_RING_ADDED).ring;
        ck_assert_uint_eq(rings[i]->number, i);
        ck_assert_uint_eq(rings[i]->id, fake[i].id);
        ck_assert_uint_eq(rings[i]->core_id, fake[i].core_id);
        ck_assert_uint_eq(rings[i]->n_slots, N_SLOTS);
    }
    expect_text(next_event(c, MEASURE_STREAM_CONNECTED).text, "br0");
    no_event(c);

    for (int i = 0; i < 20000; i++) {
        int which = random_below(&r, 2);

        ring_packet(&fake[which], &r);
        if (!random_below(&r, 40)) {
            ring_mark(&fake[which], i);
        }
        if (!random_below(&r, 50)) {
            measure_ring_publish(&fake[which].writer);
            n_read[which] += read_all(rings[which]);
            measure_stream_client_work(c, 0);
            ck_assert_uint_eq(fake[which].cursor->tail,
                              fake[which].writer.head);
            ck_assert_uint_eq(sums_of(rings[which]).records, n_read[which]);
        }
    }
    no_event(c);

    /* One ends while there is something in it. */
    for (int i = 0; i < 2; i++) {
        measure_ring_publish(&fake[i].writer);
        n_read[i] += read_all(rings[i]);
        measure_stream_client_work(c, 0);
        for (int j = 0; j < 3; j++) {
            ring_packet(&fake[i], &r);
        }
        ring_mark(&fake[i], 30000);
    }
    ck_assert_uint_gt(fake[0].mark.dropped, 0);
    switch_ring_end(&s, &fake[0]);
    measure_stream_client_work(c, 0);
    ck_assert(rings[0]->ended);
    no_event(c);
    n_read[0] += read_all(rings[0]);
    ck_assert_uint_eq(n_read[0], fake[0].mark.records);
    measure_stream_client_work(c, 0);
    ck_assert_ptr_eq(next_event(c, MEASURE_STREAM_RING_REMOVED).ring,
                     rings[0]);
    ck_assert_uint_eq(sums_of(rings[0]).records, fake[0].mark.records);
    ck_assert_uint_eq(sums_of(rings[0]).last.offered, fake[0].mark.offered);
    ck_assert_uint_eq(sums_of(rings[0]).last.epoch, 30000);
    no_event(c);
    n_read[1] += read_all(rings[1]);
    measure_stream_client_work(c, 0);
    ck_assert_uint_eq(sums_of(rings[1]).records, fake[1].mark.records);
    no_event(c);

    o = measure_output_create(MEASURE_JSON);
    measure_output_open_object(o, "br0");
    measure_stream_client_write_accounting(c, o);
    measure_output_close(o);
    text = measure_output_finish(o);
    line = measure_format("\"offered\":%"PRIu64",\"filtered\":%"PRIu64
                          ",\"dropped\":%"PRIu64",\"records\":%"PRIu64,
                          fake[1].mark.offered, fake[1].mark.filtered,
                          fake[1].mark.dropped, fake[1].mark.records);
    expect_text(text, line);
    free(line);
    line = measure_format("\"offered\":%"PRIu64",\"filtered\":%"PRIu64
                          ",\"dropped\":%"PRIu64",\"records\":%"PRIu64,
                          fake[0].mark.offered, fake[0].mark.filtered,
                          fake[0].mark.dropped, fake[0].mark.records);
    expect_text(text, line);
    free(line);
    free(text);

    measure_stream_client_destroy(c);
    ring_end(&fake[0]);
    ring_end(&fake[1]);
    switch_end(&s);
}
END_TEST

START_TEST(other_versions_are_refused)
{
    struct measure_stream_hello message = hello();
    struct measure_stream_client *c = client_begin(true);
    struct measure_stream_event event;
    struct fake_switch s;

    switch_begin(&s, "br0");
    measure_stream_client_work(c, 0);
    switch_accept(&s);
    if (_i) {
        switch_hello(&s);
        switch_error(&s, EPROTONOSUPPORT, "no");
    } else {
        message.version = 7;
        switch_send(&s, &message, sizeof message, NULL, 0);
    }
    measure_stream_client_work(c, 0);
    event = next_event(c, MEASURE_STREAM_FAILED);
    expect_text(event.text, "version 7");
    expect_text(event.text, "version 1");
    now_ns += 100000 * MS;
    measure_stream_client_work(c, 1000000);
    no_event(c);
    measure_stream_client_destroy(c);
    switch_end(&s);
}
END_TEST

START_TEST(no_socket)
{
    struct measure_stream_client *c = client_begin(false);
    struct measure_stream_event event;
    struct fake_switch s;

    measure_stream_client_work(c, 1000000);
    event = next_event(c, MEASURE_STREAM_FAILED);
    expect_text(event.text, "measure-stream=true");
    expect_text(event.text, "No such file");
    measure_stream_client_destroy(c);

    switch_begin(&s, "br1");
    c = client_begin(false);
    measure_stream_client_work(c, 0);
    event = next_event(c, MEASURE_STREAM_FAILED);
    expect_text(event.text, "bridges that have one: br1");
    expect_text(event.text, "measure-stream=true' begins it");
    measure_stream_client_destroy(c);
    switch_end(&s);

    /* A switch that has crashed. */
    switch_begin(&s, "br0");
    close(s.listener);
    c = client_begin(false);
    measure_stream_client_work(c, 0);
    expect_text(next_event(c, MEASURE_STREAM_FAILED).text,
                "the switch has ended");
    measure_stream_client_destroy(c);
    unlink(s.path);
}
END_TEST

/* The directory of the switch, by the environment. */
START_TEST(run_directory)
{
    struct measure_stream_client_options options = { .bridge = "br0" };
    struct measure_stream_client *c;

    setenv("OVS_RUNDIR", "/nowhere/at/all", 1);
    c = measure_stream_client_create(&options);
    measure_stream_client_work(c, 0);
    expect_text(next_event(c, MEASURE_STREAM_FAILED).text,
                "/nowhere/at/all/measure-stream.br0");
    measure_stream_client_destroy(c);
    options.bridge = "../br0";
    c = measure_stream_client_create(&options);
    measure_stream_client_work(c, 0);
    expect_text(next_event(c, MEASURE_STREAM_FAILED).text, "'../br0'");
    measure_stream_client_destroy(c);
}
END_TEST

/* The account says of when it is, and nothing of rings that there were not. */
START_TEST(account_for_people)
{
    struct measure_stream_client_options options = { .bridge = "br0" };
    struct measure_stream_client *c = measure_stream_client_create(&options);
    struct measure_output *o = measure_output_create(MEASURE_TEXT);
    char *text;

    measure_stream_client_write_accounting(c, o);
    text = measure_output_finish(o);
    ck_assert_str_eq(text, "connections: 0\n"
                     "As of the last mark of each ring:\n"
                     "rings:\n"
                     "  (none)\n");
    free(text);
    measure_stream_client_destroy(c);
}
END_TEST

/* A directory whose name is longer than an address may be. */
START_TEST(long_directory)
{
    char here[4096], path[8192];
    struct measure_stream_client_options options = {
        .run_directory = path, .bridge = "br0", .name = "check",
        .n_slots = 4096, .headers = true, .now_ns = fake_now_ns,
    };
    struct measure_stream_client *c;
    struct fake_switch s;

    ck_assert(getcwd(here, sizeof here));
    snprintf(path, sizeof path, "%s/%0200d/../%s", here, 0, directory);
    path[strlen(here) + 201] = '\0';
    ck_assert(!mkdir(path, 0700));
    path[strlen(here) + 201] = '/';
    switch_begin(&s, "br0");
    c = measure_stream_client_create(&options);
    connect_client(&s, c, NULL, 0);
    next_event(c, MEASURE_STREAM_CONNECTED);
    measure_stream_client_destroy(c);
    switch_end(&s);
    path[strlen(here) + 201] = '\0';
    rmdir(path);
}
END_TEST

/* The switch ends, comes back, and the reader says what it has missed. */
START_TEST(restart)
{
    static const uint64_t delays[] = { 100, 200, 400, 800, 1600, 2000, 2000 };
    struct random r = random_from(test_seed);
    struct measure_stream_client *c = client_begin(true);
    struct measure_client_ring *ring, *new_ring;
    struct measure_stream_event event;
    struct fake_switch s;
    struct fake_ring fake, new_fakes[2], *new_fake = &new_fakes[0];
    uint64_t begin_ns;

    /* It is not there yet. */
    measure_stream_client_work(c, 0);
    expect_text(next_event(c, MEASURE_STREAM_LOST).text, "No such file");
    now_ns += 99 * MS;
    measure_stream_client_work(c, 0);
    now_ns += 1 * MS;

    switch_begin(&s, "br0");
    ring_begin(&fake, 1, 3);
    connect_client(&s, c, &fake, 1);
    ring = next_event(c, MEASURE_STREAM_RING_ADDED).ring;
    event = next_event(c, MEASURE_STREAM_CONNECTED);
    ck_assert_uint_eq(event.away_ns, 0);
    ring_packet(&fake, &r);
    ring_mark(&fake, 17);
    ring_packet(&fake, &r);
    ring_packet(&fake, &r);
    measure_ring_publish(&fake.writer);

    /* It ends.  What was in the ring can be read. */
    switch_end(&s);
    begin_ns = now_ns;
    measure_stream_client_work(c, 0);
    expect_text(next_event(c, MEASURE_STREAM_LOST).text, "closed");
    no_event(c);
    ck_assert(ring->ended);
    if (_i == 0) {
        ck_assert_uint_eq(read_all(ring), fake.mark.records);
        measure_stream_client_work(c, 0);
        next_event(c, MEASURE_STREAM_RING_REMOVED);
    }

    /* A reason is told once. */
    for (size_t i = 0; i < ARRAY_SIZE(delays); i++) {
        now_ns += delays[i] * MS - 1;
        switch_begin(&s, "br0");
        measure_stream_client_work(c, 0);
        no_event(c);
        ck_assert_int_lt(accept4(s.listener, NULL, NULL, SOCK_NONBLOCK), 0);
        switch_end(&s);
        now_ns += 1;
        measure_stream_client_work(c, 0);
        if (i == 0) {
            expect_text(next_event(c, MEASURE_STREAM_LOST).text,
                        "No such file");
        }
        no_event(c);
    }

    /* Another one. */
    switch_begin(&s, "br0");
    now_ns += 2000 * MS;
    measure_stream_client_work(c, 0);
    switch_accept(&s);
    switch_hello(&s);
    switch_error(&s, EUSERS, "8 readers: that is all");
    /* It has hung up before it has read our SUBSCRIBE. */
    switch_hang_up(&s);
    measure_stream_client_work(c, 0);
    expect_text(next_event(c, MEASURE_STREAM_LOST).text,
                "the switch says: 8 readers: that is all");

    /* It is back. */
    now_ns += 2000 * MS;
    ring_begin(&new_fakes[0], 1, 3);
    ring_begin(&new_fakes[1], 2, 4);    /* Of an idle thread. */
    connect_client(&s, c, new_fakes, 2);
    new_ring = next_event(c, MEASURE_STREAM_RING_ADDED).ring;
    next_event(c, MEASURE_STREAM_RING_ADDED);
    ck_assert_uint_eq(new_ring->number, 1);
    event = next_event(c, MEASURE_STREAM_CONNECTED);
    ck_assert_uint_eq(event.away_ns, now_ns - begin_ns);
    ck_assert_uint_eq(event.away_ns, (7100 + 2 * 2000) * MS);
    expect_text(event.text, "after 11.100 s");
    no_event(c);
    for (int i = 0; i < 5; i++) {
        ring_packet(new_fake, &r);
    }
    ring_mark(new_fake, _i == 2 ? 3 : 21);
    ring_packet(new_fake, &r);
    ring_mark(new_fake, _i == 2 ? 4 : 22);
    read_all(new_ring);
    measure_stream_client_work(c, 0);
    if (_i) {
        /* Not before the old ring was read. */
        no_event(c);
        ck_assert_uint_eq(read_all(ring), fake.mark.records);
        measure_stream_client_work(c, 0);
        next_event(c, MEASURE_STREAM_RING_REMOVED);
        measure_stream_client_work(c, 0);
    }
    event = next_event(c, MEASURE_STREAM_MISSED);
    expect_text(event.text, _i == 2 ? "restarted" : "epochs 18 to 21");
    expect_text(event.text, "all but 5 that");
    ck_assert(event.has_epoch_before);
    ck_assert_uint_eq(event.epoch_before, 17);
    ck_assert_uint_eq(event.epoch_after, _i == 2 ? 3 : 21);
    ck_assert_uint_eq(event.offered, 5);
    ck_assert_uint_eq(event.away_ns, (7100 + 2 * 2000) * MS);
    measure_stream_client_work(c, 0);
    no_event(c);
    ck_assert_uint_eq(sums_of(new_ring).n_differences, 0);

    measure_stream_client_destroy(c);
    ring_end(&fake);
    ring_end(&new_fakes[0]);
    ring_end(&new_fakes[1]);
    switch_end(&s);
}
END_TEST

/* Epochs begin anew when the switch is restarted: what is missed later is told
 * from those of the new one. */
START_TEST(missed_after_a_restart)
{
    static const uint64_t epochs[][2] = { { 99, 100 }, { 4, 5 }, { 8, 9 } };
    static const char *const texts[] = {
        "", "the switch was restarted", "packets of epochs 6 to 8 are missing"
    };
    struct random r = random_from(test_seed);
    struct measure_stream_client *c = client_begin(true);

    for (size_t i = 0; i < ARRAY_SIZE(epochs); i++) {
        struct measure_client_ring *ring;
        struct fake_switch s;
        struct fake_ring fake;

        switch_begin(&s, "br0");
        ring_begin(&fake, 1, 3);
        now_ns += 2000 * MS;
        connect_client(&s, c, &fake, 1);
        ring = next_event(c, MEASURE_STREAM_RING_ADDED).ring;
        next_event(c, MEASURE_STREAM_CONNECTED);
        for (int j = 0; j < 2; j++) {
            ring_packet(&fake, &r);
            ring_mark(&fake, epochs[i][j]);
        }
        measure_ring_publish(&fake.writer);
        read_all(ring);
        measure_stream_client_work(c, 0);
        if (i) {
            struct measure_stream_event event
                = next_event(c, MEASURE_STREAM_MISSED);

            expect_text(event.text, texts[i]);
            ck_assert_uint_eq(event.epoch_before, epochs[i - 1][1]);
            ck_assert_uint_eq(event.epoch_after, epochs[i][0]);
        }
        switch_end(&s);
        measure_stream_client_work(c, 0);
        next_event(c, MEASURE_STREAM_LOST);
        next_event(c, MEASURE_STREAM_RING_REMOVED);
        ring_end(&fake);
    }

    measure_stream_client_destroy(c);
}
END_TEST

START_TEST(no_answer)
{
    struct measure_stream_client *c = client_begin(true);
    struct fake_switch s;

    switch_begin(&s, "br0");
    measure_stream_client_work(c, 0);
    switch_accept(&s);
    if (_i) {
        switch_hello(&s);
    }
    measure_stream_client_work(c, 0);
    now_ns += 4999 * MS;
    measure_stream_client_work(c, 0);
    no_event(c);
    now_ns += 1 * MS;
    measure_stream_client_work(c, 0);
    expect_text(next_event(c, MEASURE_STREAM_LOST).text, "no answer");
    measure_stream_client_destroy(c);
    switch_end(&s);
}
END_TEST

static void
expect_ports(struct measure_stream_client *c, const char *one,
             const char *largest)
{
    struct measure_port_names *ports;

    next_event(c, MEASURE_STREAM_PORTS_CHANGED);
    ports = measure_stream_client_take_ports(c);
    for (int number = 0; number <= MEASURE_MAX_PORT; number++) {
        const char *name = measure_port_name(ports, number);

        if (number == 1 && one) {
            ck_assert_str_eq(name, one);
        } else if (number == MEASURE_MAX_PORT && largest) {
            ck_assert_str_eq(name, largest);
        } else {
            ck_assert(!name);
        }
    }
    measure_port_names_destroy(ports);
    free(ports);
}

START_TEST(ports_have_names)
{
    struct measure_stream_client *c = client_begin(true);
    struct fake_switch s;
    struct fake_ring fake;
    size_t at = 0;

    switch_begin(&s, "br0");
    measure_stream_client_work(c, 0);
    switch_accept(&s);
    switch_hello(&s);
    switch_port(&s, 1, "eth0");
    switch_port(&s, MEASURE_MAX_PORT, "eth1");
    measure_stream_client_work(c, 0);
    no_event(c);
    switch_ready(&s);
    measure_stream_client_work(c, 0);
    expect_ports(c, "eth0", "eth1");
    next_event(c, MEASURE_STREAM_CONNECTED);
    no_event(c);
    switch_port(&s, 1, "");
    measure_stream_client_work(c, 0);
    expect_ports(c, NULL, "eth1");
    /* A port that came back under a new number before the old one is free. */
    switch_port(&s, 1, "eth1");
    measure_stream_client_work(c, 0);
    expect_ports(c, "eth1", "eth1");
    switch_port(&s, _i ? 0 : MEASURE_MAX_PORT + 1, "eth2");
    measure_stream_client_work(c, 0);
    expect_text(next_event(c, MEASURE_STREAM_LOST).text,
                _i ? "port 0:" : "port 4096:");
    switch_hang_up(&s);

    /* A switch that was restarted has other numbers, or no ports.  They are
     * known before there are rings to read. */
    now_ns += 2000 * MS;
    ring_begin(&fake, 1, 3);
    measure_stream_client_work(c, 0);
    switch_accept(&s);
    switch_hello(&s);
    switch_ring(&s, &fake);
    measure_stream_client_work(c, 0);
    no_event(c);
    if (_i) {
        switch_port(&s, 1, "eth0");
    }
    switch_ready(&s);
    measure_stream_client_work(c, 0);
    expect_ports(c, _i ? "eth0" : NULL, NULL);
    next_event(c, MEASURE_STREAM_RING_ADDED);
    next_event(c, MEASURE_STREAM_CONNECTED);
    no_event(c);
    ck_assert_ptr_null(measure_stream_client_next_old_ring(c, &at));

    /* One that ends before it is ready has given no rings. */
    switch_hang_up(&s);
    measure_stream_client_work(c, 0);
    next_event(c, MEASURE_STREAM_LOST);
    next_event(c, MEASURE_STREAM_RING_REMOVED);
    now_ns += 2000 * MS;
    measure_stream_client_work(c, 0);
    switch_accept(&s);
    switch_hello(&s);
    switch_ring(&s, &fake);
    measure_stream_client_work(c, 0);
    switch_hang_up(&s);
    measure_stream_client_work(c, 0);
    no_event(c);
    measure_stream_client_destroy(c);
    ring_end(&fake);
    switch_end(&s);
}
END_TEST

/* Marks that do not say what was read. */
START_TEST(differences_are_found)
{
    struct random r = random_from(test_seed + _i);
    struct measure_stream_client *c = client_begin(false);
    struct measure_client_ring *ring;
    struct measure_stream_event event;
    struct fake_switch s;
    struct fake_ring fake;

    switch_begin(&s, "br0");
    ring_begin(&fake, 1, 3);
    connect_client(&s, c, &fake, 1);
    ring = next_event(c, MEASURE_STREAM_RING_ADDED).ring;
    next_event(c, MEASURE_STREAM_CONNECTED);
    for (int i = 0; i < 10; i++) {
        ring_packet(&fake, &r);
    }
    ring_mark(&fake, 5);
    read_all(ring);
    measure_stream_client_work(c, 0);
    no_event(c);
    switch (_i) {
    case 0:
        fake.mark.offered++;
        break;
    case 1:
        /* One that has not been read. */
        fake.mark.records++;
        fake.mark.offered++;
        break;
    case 2:
        fake.mark.records++;
        fake.mark.filtered--;
        break;
    }
    ring_mark(&fake, _i == 3 ? 5 : 6);
    read_all(ring);
    measure_stream_client_work(c, 0);
    event = next_event(c, MEASURE_STREAM_DIFFERENCE);
    ck_assert_ptr_eq(event.ring, ring);
    expect_text(event.text, "ring 1 of core 3: the mark of epoch ");
    ck_assert_uint_eq(sums_of(ring).n_differences, 1);
    ring_mark(&fake, 7);
    read_all(ring);
    measure_stream_client_work(c, 0);
    no_event(c);
    ck_assert_uint_eq(sums_of(ring).n_differences, 1 + (_i < 3));
    measure_stream_client_destroy(c);
    ring_end(&fake);
    switch_end(&s);
}
END_TEST

/* Rings that cannot be right end the connection, and leave nothing. */
START_TEST(bad_rings_are_refused)
{
    static const char *const texts[] = {
        "slots: valid are", "slots: valid are", "bytes for", "bytes for",
        "not a ring", "ring of version", "slots that should be",
        "could become smaller", "could become smaller", "less than",
        "less than", "a cursor at", "a cursor at", "two rings",
        "1 file descriptors, not 2", "0 file descriptors, not 2",
        "3 file descriptors, not 2", "could become smaller", "missing",
        "ring of", "cannot be mapped",
    };
    struct measure_stream_client *c = client_begin(true);
    struct measure_stream_ring message;
    struct fake_switch s;
    struct fake_ring fake;
    struct measure_ring_header *header;
    int fds[60], n_fds = 2, own = -1;

    switch_begin(&s, "br0");
    ring_begin(&fake, 1, 3);
    header = fake.memory;
    message = ring_message(&fake);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = i ? fake.cursor_fd : fake.fd;
    }
    switch (_i) {
    case 0: message.n_slots = 255; break;
    case 1: message.n_slots = UINT64_C(1) << 40; break;
    case 2: message.size--; break;
    case 3: message.size = UINT64_MAX; break;
    case 4: header->magic++; break;
    case 5: header->version++; break;
    case 6: message.n_slots /= 2; break;
    case 7:
        own = make_file(fake.size, F_SEAL_GROW);
        fds[0] = own;
        break;
    case 8:
        own = make_file(4096, F_SEAL_GROW);
        fds[1] = own;
        break;
    case 9: message.size++; break;
    case 10:
        own = make_file(100, F_SEAL_SHRINK);
        fds[1] = own;
        break;
    case 11: fake.cursor->tail = 1; break;
    case 12: header->head = N_SLOTS + 1; break;
    case 13: break;
    case 14: n_fds = 1; break;
    case 15: n_fds = 0; break;
    case 16: n_fds = 3; break;
    case 17:
        own = open("/dev/null", O_RDWR | O_CLOEXEC);
        fds[0] = own;
        break;
    case 18: n_fds = 60; break;
    case 19: header->n_slots = 2 * N_SLOTS; break;
    case 20:
        own = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(own);
        /* A descriptor that cannot write the cursor. */
        {
            char path[40];

            snprintf(path, sizeof path, "/proc/self/fd/%d", fake.cursor_fd);
            own = open(path, O_RDONLY | O_CLOEXEC);
        }
        fds[1] = own;
        break;
    }
    connect_client(&s, c, NULL, 0);
    next_event(c, MEASURE_STREAM_CONNECTED);
    switch_send(&s, &message, sizeof message, fds, n_fds);
    if (_i == 13) {
        switch_send(&s, &message, sizeof message, fds, n_fds);
        measure_stream_client_work(c, 0);
        next_event(c, MEASURE_STREAM_RING_ADDED);
    } else {
        measure_stream_client_work(c, 0);
    }
    expect_text(next_event(c, MEASURE_STREAM_LOST).text, texts[_i]);
    measure_stream_client_work(c, 0);
    if (_i == 13) {
        next_event(c, MEASURE_STREAM_RING_REMOVED);
    }
    no_event(c);
    measure_stream_client_destroy(c);
    ring_end(&fake);
    if (own >= 0) {
        close(own);
    }
    switch_end(&s);
}
END_TEST

/* Whoever reads a ring finds a record that reaches over its end. */
START_TEST(broken_rings_end_the_connection)
{
    struct measure_stream_client *c = client_begin(true);
    struct measure_client_ring *ring;
    struct fake_switch s;
    struct fake_ring fake;

    switch_begin(&s, "br0");
    ring_begin(&fake, 1, 3);
    connect_client(&s, c, &fake, 1);
    ring = next_event(c, MEASURE_STREAM_RING_ADDED).ring;
    next_event(c, MEASURE_STREAM_CONNECTED);
    measure_stream_account_break(&ring->account);
    measure_stream_client_work(c, 0);
    expect_text(next_event(c, MEASURE_STREAM_LOST).text, "over its end");
    measure_stream_client_work(c, 0);
    next_event(c, MEASURE_STREAM_RING_REMOVED);
    measure_stream_client_destroy(c);
    ring_end(&fake);
    switch_end(&s);
}
END_TEST

/* A ring of a connection that is lost breaks: that of now goes on. */
START_TEST(old_rings_do_not_end_the_connection)
{
    struct random r = random_from(test_seed);
    struct measure_stream_client *c = client_begin(true);
    struct measure_client_ring *ring;
    struct fake_switch s;
    struct fake_ring fake, new_fake;

    switch_begin(&s, "br0");
    ring_begin(&fake, 1, 3);
    ring_begin(&new_fake, 1, 3);
    connect_client(&s, c, &fake, 1);
    ring = next_event(c, MEASURE_STREAM_RING_ADDED).ring;
    next_event(c, MEASURE_STREAM_CONNECTED);
    ring_packet(&fake, &r);
    ring_mark(&fake, 1);
    switch_hang_up(&s);
    measure_stream_client_work(c, 0);
    next_event(c, MEASURE_STREAM_LOST);
    if (_i) {
        now_ns += 100 * MS;
        connect_client(&s, c, &new_fake, 1);
        next_event(c, MEASURE_STREAM_RING_ADDED);
        next_event(c, MEASURE_STREAM_CONNECTED);
    }
    measure_stream_account_break(&ring->account);
    measure_stream_client_work(c, 0);
    expect_text(next_event(c, MEASURE_STREAM_DIFFERENCE).text, "over its end");
    next_event(c, MEASURE_STREAM_RING_REMOVED);
    no_event(c);
    if (!_i) {
        /* It waits no longer for the next connection. */
        now_ns += 100 * MS;
        connect_client(&s, c, &new_fake, 1);
        next_event(c, MEASURE_STREAM_RING_ADDED);
        next_event(c, MEASURE_STREAM_CONNECTED);
    }
    measure_stream_client_destroy(c);
    ring_end(&fake);
    ring_end(&new_fake);
    switch_end(&s);
}
END_TEST

/* Each word of each message with values that it should not have, messages of
 * all lengths, and of any order. */
START_TEST(malformed_messages)
{
    static const uint32_t values[] = {
        0, 1, 2, 7, 8, 16, 40, 255, 256, 257, 0x7fffffff, 0x80000000,
        0xffffffff, 0x20202020,
    };
    struct measure_stream_client *c = client_begin(true);
    struct random r = random_from(test_seed);
    struct measure_stream_event event;
    struct fake_switch s;
    struct fake_ring fake;
    int n_lost = 0;

    switch_begin(&s, "br0");
    ring_begin(&fake, 1, 3);
    for (int i = 0; i < 20000; i++) {
        union {
            uint32_t words[100];
            struct measure_stream_hello hello;
            struct measure_stream_ring ring;
            struct measure_stream_port port;
            struct measure_stream_ring_end end;
            struct measure_stream_error error;
            struct measure_stream_head head;
        } m;
        int fds[2] = { fake.fd, fake.cursor_fd };
        size_t size, n_fds;

        /* Connect, unless it is: before and behind the greeting. */
        if (s.fd < 0) {
            now_ns += MEASURE_STREAM_MAX_RETRY_MS * MS;
            measure_stream_client_work(c, 0);
            switch_accept(&s);
            if (random_below(&r, 4)) {
                switch_hello(&s);
                if (random_below(&r, 2)) {
                    switch_ready(&s);
                }
            }
            measure_stream_client_work(c, 0);
        }
        memset(&m, 0, sizeof m);
        m.head.type = 1 + random_below(&r, 8);
        switch (m.head.type) {
        case MEASURE_STREAM_HELLO: m.hello = hello(); break;
        case MEASURE_STREAM_RING:
            m.ring = ring_message(&fake);
            m.ring.id = i;
            break;
        case MEASURE_STREAM_PORT:
            m.head.length = sizeof m.port;
            m.port.number = 1 + random_below(&r, 4095);
            strcpy(m.port.name, "port");
            break;
        case MEASURE_STREAM_READY: m.head.length = sizeof m.head; break;
        case MEASURE_STREAM_RING_END:
            m.head.length = sizeof m.end;
            m.end.id = i - random_below(&r, 10);
            break;
        case MEASURE_STREAM_ERROR:
            m.head.length = sizeof m.error;
            m.error.error = EUSERS;
            break;
        default: m.head.length = 100; break;
        }
        size = m.head.length;
        n_fds = m.head.type == MEASURE_STREAM_RING ? 2 : 0;
        switch (random_below(&r, 4)) {
        case 0:
            m.words[random_below(&r, size / 4)]
                = values[random_below(&r, ARRAY_SIZE(values))];
            break;
        case 1:
            size = random_below(&r, sizeof m + 1);
            if (random_below(&r, 2)) {
                m.head.length = size;
            }
            break;
        case 2:
            n_fds = random_below(&r, 3);
            break;
        }
        /* Those that end it for good are tested above. */
        if (m.head.type == MEASURE_STREAM_ERROR
            && (m.error.error == EPROTONOSUPPORT || m.error.error == EINVAL
                || m.error.error == EACCES)) {
            m.error.error = EUSERS;
        }
        if (m.head.type == MEASURE_STREAM_HELLO) {
            m.hello.version = MEASURE_STREAM_VERSION;
        }
        if (size) {
            switch_send(&s, &m, size, fds, n_fds);
        } else {
            switch_hang_up(&s);
        }
        measure_stream_client_work(c, 0);
        while (measure_stream_client_next(c, &event)) {
            ck_assert_int_ne(event.kind, MEASURE_STREAM_FAILED);
            n_lost += event.kind == MEASURE_STREAM_LOST;
        }
        {
            char byte;

            /* The reader has hung up. */
            while (s.fd >= 0) {
                ssize_t n = recv(s.fd, &byte, 1, MSG_DONTWAIT);

                if (n < 0 && errno == EAGAIN) {
                    break;
                } else if (n <= 0) {
                    switch_hang_up(&s);
                }
            }
        }
    }
    ck_assert_int_gt(n_lost, 1000);
    measure_stream_client_destroy(c);
    ring_end(&fake);
    switch_end(&s);
}
END_TEST

/* A pipeline reads the rings. */

static uint64_t n_seen[2];      /* Packets of each core. */
static uint64_t n_marks_seen;

static void
seen_packets(struct measure_stage *stage UNUSED, struct measure_batch *batch)
{
    REQUIRE(batch->core_id < 2);
    n_seen[batch->core_id] += batch->n;
}

static void
seen_mark(struct measure_stage *stage UNUSED,
          const struct measure_batch *batch UNUSED,
          const struct measure_mark *mark UNUSED)
{
    n_marks_seen++;
}

static const struct measure_stage_class seen_class = {
    .name = "seen",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_NOTHING,
    .partition = MEASURE_PARTITION_NONE,
    .size = sizeof(struct measure_stage),
    .packets = seen_packets,
    .mark = seen_mark,
};

/* Two rings of two connections each, while packets come faster than they are
 * read now and then: at the end each record was seen once, and accounted for,
 * ring by ring. */
START_TEST(pipelines_are_fed)
{
    static const struct measure_stage_class *const classes[] = {
        &seen_class, NULL
    };
    struct measure_pipeline_options options = {
        .classes = classes, .live = true,
    };
    struct measure_pipeline *pipeline = measure_pipeline_create(&options);
    struct random r = random_from(test_seed);
    struct measure_stream_client *c = client_begin(true);
    struct measure_stream_event event;
    struct measure_port_names *ports;
    uint64_t records[2] = { 0 }, n_marks = 0, dropped = 0;
    char *error;

    memset(n_seen, 0, sizeof n_seen);
    n_marks_seen = 0;
    error = measure_pipeline_add_chain(pipeline, "seen");
    ck_assert_msg(!error, "%s", error);
    error = measure_pipeline_start(pipeline);
    ck_assert_msg(!error, "%s", error);

    for (int connection = 0; connection < 2; connection++) {
        struct fake_ring fake[2];
        struct fake_switch s;
        int n_removed = 0;

        switch_begin(&s, "br0");
        now_ns += 5000 * MS;
        for (int i = 0; i < 2; i++) {
            ring_begin(&fake[i], i, i);
        }
        connect_client(&s, c, fake, 2);
        switch_port(&s, 1, "eth0");
        for (int i = 0; i < 50000; i++) {
            int which = random_below(&r, 2);

            ring_packet(&fake[which], &r);
            if (!random_below(&r, 40)) {
                measure_ring_publish(&fake[which].writer);
            }
            if (!random_below(&r, 100)) {
                ring_mark(&fake[which], i);
            }
            if (!random_below(&r, 100)) {
                measure_stream_client_work(c, 0);
            }
            while (measure_stream_client_feed(c, pipeline, &event)) {
                ck_assert_int_ne(event.kind, MEASURE_STREAM_DIFFERENCE);
                ck_assert_int_ne(event.kind, MEASURE_STREAM_FAILED);
            }
        }
        for (int i = 0; i < 2; i++) {
            ring_mark(&fake[i], 60000);
            records[i] += fake[i].mark.records;
            dropped += fake[i].mark.dropped;
        }
        /* One ends, and the other one is lost with its switch. */
        switch_ring_end(&s, &fake[0]);
        switch_end(&s);
        for (int i = 0; n_removed < 2; i++) {
            ck_assert_int_lt(i, 10000);
            measure_stream_client_work(c, 10);
            while (measure_stream_client_feed(c, pipeline, &event)) {
                ck_assert_int_ne(event.kind, MEASURE_STREAM_DIFFERENCE);
                if (event.kind == MEASURE_STREAM_RING_REMOVED) {
                    struct measure_stream_sums a = sums_of(event.ring);
                    const struct measure_mark *mark
                        = &fake[event.ring->core_id].mark;

                    ck_assert_uint_eq(a.records, mark->records);
                    if (mark->epoch == a.last.epoch) {
                        ck_assert_uint_eq(a.last.offered, mark->offered);
                    }
                    n_marks += a.n_marks;
                    n_removed++;
                }
            }
        }
        for (int i = 0; i < 2; i++) {
            ring_end(&fake[i]);
        }
    }
    error = measure_pipeline_finish(pipeline);
    ck_assert_msg(!error, "%s", error);
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(n_seen[i], records[i]);
    }
    ck_assert_uint_eq(n_marks_seen, n_marks);
    printf("%"PRIu64" records, %"PRIu64" dropped, %"PRIu64" marks\n",
           records[0] + records[1], dropped, n_marks);
    fflush(stdout);
    ports = measure_stream_client_take_ports(c);
    ck_assert_str_eq(measure_port_name(ports, 1), "eth0");
    measure_port_names_destroy(ports);
    free(ports);
    measure_pipeline_destroy(pipeline);
    measure_stream_client_destroy(c);
}
END_TEST

static void
on_alarm(int signal_ UNUSED)
{
}

/* A signal ends a call that would last for hours. */
START_TEST(signals_end_the_wait)
{
    struct itimerval often = { { 0, 10000 }, { 0, 10000 } };
    struct itimerval never = { { 0, 0 }, { 0, 0 } };
    struct sigaction action = { .sa_handler = on_alarm };
    struct measure_stream_client *c = client_begin(true);
    struct fake_switch s;
    struct fake_ring fake;

    switch_begin(&s, "br0");
    ring_begin(&fake, 1, 3);
    connect_client(&s, c, &fake, _i);
    if (_i) {
        next_event(c, MEASURE_STREAM_RING_ADDED);
    }
    next_event(c, MEASURE_STREAM_CONNECTED);
    no_event(c);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    measure_stream_client_work(c, 10000000);
    setitimer(ITIMER_REAL, &never, NULL);
    no_event(c);
    measure_stream_client_destroy(c);
    ring_end(&fake);
    switch_end(&s);
}
END_TEST

/* A call is no longer than it may be, whatever there is to wait for. */
START_TEST(timeouts_are_kept)
{
    struct measure_stream_client *c = client_begin(true);
    struct measure_stream_event event;
    struct timespec before, after;

    measure_stream_client_work(c, 0);
    next_event(c, MEASURE_STREAM_LOST);
    clock_gettime(CLOCK_MONOTONIC, &before);
    measure_stream_client_work(c, 20);
    clock_gettime(CLOCK_MONOTONIC, &after);
    ck_assert(!measure_stream_client_next(c, &event));
    ck_assert_int_ge((after.tv_sec - before.tv_sec) * 1000
                     + (after.tv_nsec - before.tv_nsec) / 1000000, 19);
    measure_stream_client_destroy(c);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-stream-client");

    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, all_is_read_and_adds_up);
    tcase_add_loop_test(tests, other_versions_are_refused, 0, 2);
    tcase_add_test(tests, no_socket);
    tcase_add_test(tests, run_directory);
    tcase_add_test(tests, account_for_people);
    tcase_add_test(tests, long_directory);
    tcase_add_loop_test(tests, restart, 0, 3);
    tcase_add_test(tests, missed_after_a_restart);
    tcase_add_loop_test(tests, no_answer, 0, 2);
    tcase_add_loop_test(tests, ports_have_names, 0, 2);
    tcase_add_loop_test(tests, differences_are_found, 0, 4);
    tcase_add_loop_test(tests, bad_rings_are_refused, 0, 21);
    tcase_add_test(tests, broken_rings_end_the_connection);
    tcase_add_loop_test(tests, old_rings_do_not_end_the_connection, 0, 2);
    tcase_add_test(tests, malformed_messages);
    tcase_add_test(tests, pipelines_are_fed);
    tcase_add_loop_test(tests, signals_end_the_wait, 0, 2);
    tcase_add_test(tests, timeouts_are_kept);
    return tests_run(tests);
}
