/* SPDX-License-Identifier: Apache-2.0 */
/* The structures that tallies can count in, one line each. */

/* Where STRUCTURE(KIND, NAME) is defined, each of these expands to that, else
 * to its declarations.  Included several times by measure-structure.h and
 * others, hence without a guard. */

#include "structures/measure-count-array.h"
#include "structures/measure-count-min.h"
#include "structures/measure-cuckoo.h"
#include "structures/measure-space-saving.h"
