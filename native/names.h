// Names of the small numbers that records carry.
#pragma once

#include <map>
#include <string>

namespace tapio {

enum class Names { family, protocol, tcp_state, drop_reason, direction };
inline constexpr unsigned kNameSets = 5;

// Reasons for which the kernel drops a packet, by number: they differ between kernels.
using DropReasons = std::map<unsigned, std::string>;

// The name of a value; a number without one is written as the number.
std::string name_of(Names set, unsigned value, const DropReasons& reasons);

}  // namespace tapio
