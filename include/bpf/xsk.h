/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Where these names were before libxdp had them. */
#include <xdp/xsk.h>
