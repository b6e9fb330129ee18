// The kernel's formats (ring and records) for C++, which needs the kernel's integer names first.
#pragma once

#include <linux/types.h>

#include <cstddef>

#ifndef _Static_assert
#define _Static_assert static_assert
#endif

#include "../bpf/ring.h"
#include "../schemas/generated/events.h"
