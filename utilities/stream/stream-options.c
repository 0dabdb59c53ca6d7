/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of ovs-measure-stream. */

#include <config.h>

#include "stream-options.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/measure-number.h"
#include "base/measure-units.h"
#include "stream/measure-ring.h"
#include "stream/measure-stream-protocol.h"
#include "stream-message.h"
#include "stream-stop-after.h"

#define DEFAULT_BRIDGE "br0"

enum {
    OPTION_BRIDGE = 256,
    OPTION_READ,
    OPTION_PCAP_FILE,
    OPTION_PCAP,
    OPTION_WRITE,
    OPTION_HEADERS,
    OPTION_SLOTS,
    OPTION_MEMORY,
    OPTION_COUNTERS,
    OPTION_ACCOUNTING,
    OPTION_COUNT,
    OPTION_DURATION,
    OPTION_PROGRESS,
    OPTION_LIST,
};

static const struct option long_options[] = {
    { "bridge", required_argument, NULL, OPTION_BRIDGE },
    { "read", required_argument, NULL, OPTION_READ },
    { "pcap-file", required_argument, NULL, OPTION_PCAP_FILE },
    { "pcap", required_argument, NULL, OPTION_PCAP },
    { "write", required_argument, NULL, OPTION_WRITE },
    { "headers", no_argument, NULL, OPTION_HEADERS },
    { "slots", required_argument, NULL, OPTION_SLOTS },
    { "memory-mb", required_argument, NULL, OPTION_MEMORY },
    { "counters", optional_argument, NULL, OPTION_COUNTERS },
    { "accounting", no_argument, NULL, OPTION_ACCOUNTING },
    { "count", required_argument, NULL, OPTION_COUNT },
    { "duration", required_argument, NULL, OPTION_DURATION },
    { "progress", no_argument, NULL, OPTION_PROGRESS },
    { "list", no_argument, NULL, OPTION_LIST },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { NULL, 0, NULL, 0 },
};

/* Writes how the program is called to standard output. */
void
stream_usage(void)
{
    fputs("usage: "STREAM_PROGRAM" [--bridge BRIDGE | --read FILE | "
          "--pcap-file FILE]\n"
          "                          [OPTION]... ['STAGE | STAGE...']...\n"
          "Let the packets of a bridge, or of a file, go through chains of "
          "stages, as\n"
          "'where protocol=tcp | count by=source | top n=10 every=1s | write "
          "text'.\n"
          "Each chain sees all packets.  --list shows the stages.\n\n"
          "Packets of:\n"
          "  --bridge BRIDGE     a bridge with other_config:measure-stream="
          "true (default: "DEFAULT_BRIDGE")\n"
          "  --read FILE         a record file ('write records file=FILE'), "
          "- for standard input\n"
          "  --pcap-file FILE    a capture in pcap or pcapng format, - for "
          "standard input\n\n"
          "Options:\n"
          "  --pcap EXPRESSION   only packets that match, as in tcpdump: "
          "'host 10.0.0.7 and port 53'\n"
          "  --write FILE        write packets in pcapng format, - for "
          "standard output\n"
          "  --headers           records have the first bytes of each "
          "frame\n"
          "  --count N           end when each chain has had N packets\n"
          "  --duration TIME     end after TIME, as 10s, 500ms, 2m\n"
          "  --slots N           slots of each ring, a power of 2\n"
          "  --memory-mb N       memory for stages\n"
          "  --counters[=TIME]   say what each stage was given, at the end or "
          "each TIME\n"
          "  --accounting        say what became of the packets of each "
          "thread and epoch\n"
          "  --progress          say how far the reading of a file is\n"
          "  --list              show the stages and their arguments\n"
          "  -h, --help          show this help\n"
          "  -V, --version       show the version\n", stdout);
}

static uint64_t
parse_number(const char *option, const char *text, uint64_t min, uint64_t max)
{
    uint64_t value;

    if (!measure_integer_parse(text, min, max, &value)) {
        stream_fail(STREAM_BAD_INPUT, "--%s: \"%s\" is not a number from "
                    "%"PRIu64" to %"PRIu64, option, text, min, max);
    }
    return value;
}

/* The rings of a bridge are made by the switch, which has its own limits. */
static uint64_t
parse_slots(const char *text, bool bridge)
{
    uint64_t min = bridge ? MEASURE_STREAM_MIN_SLOTS : MEASURE_RING_MIN_SLOTS;
    uint64_t max = bridge ? MEASURE_STREAM_MAX_SLOTS : MEASURE_RING_MAX_SLOTS;
    uint64_t value;

    if (!measure_integer_parse(text, min, max, &value)
        || value & (value - 1)) {
        stream_fail(STREAM_BAD_INPUT, "--slots: \"%s\" is not a power of 2 "
                    "from %"PRIu64" to %"PRIu64", for %s", text, min, max,
                    bridge ? "a bridge" : "a file");
    }
    return value;
}

static uint64_t
parse_time(const char *option, const char *text)
{
    uint64_t ns;

    if (!measure_duration_parse(text, &ns) || !ns) {
        stream_fail(STREAM_BAD_INPUT, "--%s: \"%s\" is not a time, "
                    MEASURE_DURATION_VALID", as 10s", option, text);
    }
    return ns;
}

/* Sets where packets come from. */
static void
set_input(const struct stream_options *o, const char **where)
{
    if (o->bridge || o->read || o->pcap_file) {
        stream_fail(STREAM_BAD_INPUT, "packets can come from one place only: "
                    "give one of --bridge, --read and --pcap-file");
    }
    if (!*optarg) {
        stream_fail(STREAM_BAD_INPUT, "--bridge, --read and --pcap-file need "
                    "a name");
    }
    *where = optarg;
}

static void
check(struct stream_options *o)
{
    if (!o->bridge && !o->read && !o->pcap_file) {
        o->bridge = DEFAULT_BRIDGE;
    }
    if (o->headers && o->read) {
        stream_fail(STREAM_BAD_INPUT, "--headers: a record file has the "
                    "headers that were written to it");
    }
    if (o->accounting && o->pcap_file) {
        stream_fail(STREAM_BAD_INPUT, "--accounting: a capture has no marks: "
                    "nothing to account for");
    }
    if (o->write && !strcmp(o->write, "-") && isatty(STDOUT_FILENO)) {
        stream_fail(STREAM_BAD_INPUT, "--write -: standard output is a "
                    "terminal, which cannot show pcapng; append "
                    "\"| tcpdump -nr -\", or name a file");
    }
    if (o->n_chains >= STREAM_MAX_CHAINS) {
        stream_fail(STREAM_BAD_INPUT, "%zu chains are too many; at most %d "
                    "are possible", o->n_chains, STREAM_MAX_CHAINS - 1);
    }
}

/* Ends the program if something is wrong. */
enum stream_action
stream_options_parse(struct stream_options *o, int argc, char *argv[])
{
    enum stream_action action = STREAM_RUN;
    const char *slots = NULL;
    int option;

    memset(o, 0, sizeof *o);
    /* Messages of getopt_long() begin with it. */
    argv[0] = (char *) STREAM_PROGRAM;
    while ((option = getopt_long(argc, argv, "hV", long_options, NULL))
           != -1) {
        switch (option) {
        case OPTION_BRIDGE:
            set_input(o, &o->bridge);
            break;
        case OPTION_READ:
            set_input(o, &o->read);
            break;
        case OPTION_PCAP_FILE:
            set_input(o, &o->pcap_file);
            break;
        case OPTION_PCAP:
            o->pcap = optarg;
            break;
        case OPTION_WRITE:
            if (!*optarg) {
                stream_fail(STREAM_BAD_INPUT, "--write needs a file");
            }
            o->write = optarg;
            break;
        case OPTION_HEADERS:
            o->headers = true;
            break;
        case OPTION_SLOTS:
            slots = optarg;
            break;
        case OPTION_MEMORY:
            o->memory_mb = parse_number("memory-mb", optarg, 1, 1 << 20);
            break;
        case OPTION_COUNTERS:
            o->counters = true;
            o->counters_ns = optarg ? parse_time("counters", optarg) : 0;
            break;
        case OPTION_ACCOUNTING:
            o->accounting = true;
            break;
        case OPTION_COUNT:
            o->count = parse_number("count", optarg, 1, INT64_MAX);
            break;
        case OPTION_DURATION:
            o->duration_ns = parse_time("duration", optarg);
            break;
        case OPTION_PROGRESS:
            o->progress = true;
            break;
        case OPTION_LIST:
            action = action ? action : STREAM_LIST;
            break;
        case 'h':
            action = action ? action : STREAM_HELP;
            break;
        case 'V':
            action = action ? action : STREAM_VERSION;
            break;
        default:
            stream_fail(STREAM_BAD_INPUT, "see "STREAM_PROGRAM" --help");
        }
    }
    o->chains = argv + optind;
    o->n_chains = argc - optind;
    if (action == STREAM_RUN) {
        check(o);
        if (slots) {
            o->slots = parse_slots(slots, o->bridge != NULL);
        }
    }
    return action;
}
