/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of the stage 'write', and how they write. */

#include <config.h>

#include "stages/measure-write-format.h"

#include <errno.h>

#define FORMAT(NAME) extern const struct measure_write_format \
                         measure_write_##NAME;
#include "stages/measure-write-format-list.h"
#undef FORMAT

/* Ends with NULL. */
const struct measure_write_format *const measure_write_formats[] = {
#define FORMAT(NAME) &measure_write_##NAME,
#include "stages/measure-write-format-list.h"
#undef FORMAT
    NULL
};

/* Writes 'size' bytes at 'data', unless there was an error before. */
void
measure_write_put(struct measure_write *w, const void *data, size_t size)
{
    if (!w->error && size && fwrite(data, size, 1, w->file) != 1) {
        w->error = errno ? errno : EIO;
    }
}
