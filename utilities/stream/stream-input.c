/* SPDX-License-Identifier: Apache-2.0 */
/* Where ovs-measure-stream has its packets from. */

#include <config.h>

#include "stream-input.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "stream/measure-record-file.h"

/* Appends to '*lost' that 'n' of something are missing, unless it is 0. */
void
stream_lost(char **lost, uint64_t n, const char *one, const char *many)
{
    if (n) {
        measure_append(lost, "%s%"PRIu64" %s", *lost ? ", " : "", n,
                       n == 1 ? one : many);
    }
}

const char *
stream_option_of(const char *file)
{
    /* Of pcap, with microseconds and nanoseconds, and of pcapng. */
    static const uint32_t captures[] = {
        UINT32_C(0xa1b2c3d4), UINT32_C(0xd4c3b2a1),
        UINT32_C(0xa1b23c4d), UINT32_C(0x4d3cb2a1), UINT32_C(0x0a0d0d0a),
    };
    struct stat status;
    uint64_t magic = 0;
    FILE *stream;
    size_t n;

    /* A pipe has no second beginning. */
    if (stat(file, &status) || !S_ISREG(status.st_mode)
        || !(stream = fopen(file, "rbe"))) {
        return NULL;
    }
    n = fread(&magic, 1, sizeof magic, stream);
    fclose(stream);
    if (n == sizeof magic
        && (magic == MEASURE_RECORD_FILE_MAGIC
            || magic == __builtin_bswap64(MEASURE_RECORD_FILE_MAGIC))) {
        return "--read";
    }
    for (size_t i = 0; i < sizeof captures / sizeof captures[0]; i++) {
        if (n >= sizeof captures[0]
            && !memcmp(&magic, &captures[i], sizeof captures[0])) {
            return "--pcap-file";
        }
    }
    return NULL;
}
