/* SPDX-License-Identifier: Apache-2.0 */
/* Where ovs-measure-stream has its packets from. */

#include <config.h>

#include "stream-input.h"

#include <inttypes.h>

/* Appends to '*lost' that 'n' of something are missing, unless it is 0. */
void
stream_lost(char **lost, uint64_t n, const char *one, const char *many)
{
    if (n) {
        measure_append(lost, "%s%"PRIu64" %s", *lost ? ", " : "", n,
                       n == 1 ? one : many);
    }
}
