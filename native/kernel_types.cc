#include "kernel_types.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/btf.h>

namespace tapio {

KernelTypes::KernelTypes() : btf_(btf__load_vmlinux_btf()) {
  if (btf_ && libbpf_get_error(btf_)) btf_ = nullptr;
}

KernelTypes::KernelTypes(const std::string& path) : btf_(btf__parse(path.c_str(), nullptr)) {
  if (btf_ && libbpf_get_error(btf_)) btf_ = nullptr;
}

KernelTypes::~KernelTypes() { btf__free(btf_); }

// A raw tracepoint is `typedef void (*btf_trace_NAME)(void *, …)`.
const btf_type* KernelTypes::tracepoint_prototype(const char* name) const {
  if (!btf_) return nullptr;
  const int id =
      btf__find_by_name_kind(btf_, (std::string("btf_trace_") + name).c_str(), BTF_KIND_TYPEDEF);
  if (id <= 0) return nullptr;
  const btf_type* type = btf__type_by_id(btf_, btf__type_by_id(btf_, id)->type);
  if (!type || !btf_is_ptr(type)) return nullptr;
  type = btf__type_by_id(btf_, type->type);
  return type && btf_is_func_proto(type) ? type : nullptr;
}

int KernelTypes::tracepoint_arguments(const char* name) const {
  const btf_type* prototype = tracepoint_prototype(name);
  return prototype ? btf_vlen(prototype) - 1 : -1;
}

bool KernelTypes::tracepoint_argument_is_pointer(const char* name, int argument) const {
  const btf_type* prototype = tracepoint_prototype(name);
  if (!prototype || argument + 1 >= btf_vlen(prototype)) return false;
  const btf_type* type = btf__type_by_id(btf_, btf_params(prototype)[argument + 1].type);
  return type && btf_is_ptr(type);
}

bool KernelTypes::has_function(const char* name) const {
  return btf_ && btf__find_by_name_kind(btf_, name, BTF_KIND_FUNC) > 0;
}

std::map<unsigned, std::string> KernelTypes::enum_names(const char* name,
                                                        const std::string& prefix) const {
  std::map<unsigned, std::string> names;
  const int id = btf_ ? btf__find_by_name_kind(btf_, name, BTF_KIND_ENUM) : -1;
  if (id <= 0) return names;
  const btf_type* type = btf__type_by_id(btf_, id);
  const struct btf_enum* values = btf_enum(type);
  for (int i = 0; i < btf_vlen(type); i++) {
    std::string value = btf__name_by_offset(btf_, values[i].name_off);
    if (value.starts_with(prefix)) value.erase(0, prefix.size());
    names.emplace(static_cast<unsigned>(values[i].val), value);
  }
  return names;
}

}  // namespace tapio
