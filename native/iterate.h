// Programs that walk the kernel's objects (BPF_TRACE_ITER).
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <unistd.h>

#include <vector>

namespace tapio {

// Runs an iterator program to its end and gives the records of this type that it wrote.
template <class Record>
std::vector<Record> iterate(const bpf_program* program) {
  std::vector<Record> out;
  bpf_link* link = bpf_program__attach_iter(program, nullptr);
  if (!link) return out;
  const int fd = bpf_iter_create(bpf_link__fd(link));
  if (fd >= 0) {
    std::vector<char> all;
    char buffer[16384];
    for (ssize_t bytes; (bytes = read(fd, buffer, sizeof(buffer))) > 0;)
      all.insert(all.end(), buffer, buffer + bytes);
    close(fd);
    out.resize(all.size() / sizeof(Record));
    memcpy(out.data(), all.data(), out.size() * sizeof(Record));
  }
  bpf_link__destroy(link);
  return out;
}

}  // namespace tapio
