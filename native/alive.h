// What was there before the source started, as the iterator programs tell it.
#pragma once

#include <vector>

#include "raw_source.h"

struct tapio_programs;

namespace tapio {

// The TCP sockets that processes hold; the programs know from here on whose they are.
void own_open_sockets(const tapio_programs& programs, std::vector<SocketSnapshot>* open);

void snapshot_processes(const tapio_programs& programs, std::vector<ProcessSnapshot>* alive);

}  // namespace tapio
