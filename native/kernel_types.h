// What the kernel's own type information (BTF) says: which variant of a tracepoint there is, and
// the names of enum values.
#pragma once

#include <map>
#include <string>

struct btf;
struct btf_type;

namespace tapio {

// A kernel's BTF. Absent (ok() false) where the running one was built without it, or where the file
// holds none.
class KernelTypes {
 public:
  KernelTypes();                                  // the running kernel's
  explicit KernelTypes(const std::string& path);  // raw (/sys/kernel/btf/vmlinux) or in an ELF file
  ~KernelTypes();
  KernelTypes(const KernelTypes&) = delete;
  KernelTypes& operator=(const KernelTypes&) = delete;

  bool ok() const { return btf_ != nullptr; }
  // Arguments of a raw tracepoint, or -1 where the kernel has none of that name.
  int tracepoint_arguments(const char* name) const;
  // True where the tracepoint's argument (from 0) is a pointer.
  bool tracepoint_argument_is_pointer(const char* name, int argument) const;
  bool has_function(const char* name) const;
  // Values of an enum by number, with `prefix` taken off the names.
  std::map<unsigned, std::string> enum_names(const char* name, const std::string& prefix) const;

 private:
  const struct btf_type* tracepoint_prototype(const char* name) const;
  struct btf* btf_;
};

}  // namespace tapio
