/* SPDX-License-Identifier: Apache-2.0 */
/* What the database says: bridges, interfaces and their keys. */

#ifndef MEASURE_SETTINGS_H
#define MEASURE_SETTINGS_H 1

#include <stdbool.h>

/* The configuration, from the database
 * ====================================
 *
 * Thread safety: main thread only. */

struct ovsrec_open_vswitch;

void measure_configure(const struct ovsrec_open_vswitch *);
bool measure_is_configured(void);

#endif /* measure-settings.h */
