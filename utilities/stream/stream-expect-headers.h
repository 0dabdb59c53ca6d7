/* SPDX-License-Identifier: Apache-2.0 */
/* Says so if there are no headers: --headers. */

#ifndef STREAM_EXPECT_HEADERS_H
#define STREAM_EXPECT_HEADERS_H 1

#include "stream/measure-stage.h"

/* Headers that do not come
 * ========================
 *
 * A switch sends headers only while measure-stream-headers=true, and does not
 * say that it does not.  This stage lets all packets through, and says it
 * once for a packet without.
 *
 * Thread safety: as all stages. */

extern const struct measure_stage_class stream_expect_headers;

#endif /* stream-expect-headers.h */
