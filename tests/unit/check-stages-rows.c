/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the stages that look at rows: top, window, ewma, histogram. */

#include "check-stage.h"
int main(void) { TCase *tests = tests_begin("x"); return tests_run(tests); }
