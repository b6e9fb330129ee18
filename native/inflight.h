// Calls that have not returned, asked of rings that another process reads: it need not answer.
#pragma once

#include <string>
#include <vector>

#include "format.h"
#include "../bpf/config.h"

namespace tapio {

// Of a pinned set, those whose start was noted. False with the reason in *why.
bool calls_under_way(const std::string& set, std::vector<tapio_under_way>* calls, std::string* why);

}  // namespace tapio
