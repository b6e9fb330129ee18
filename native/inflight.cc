#include "inflight.h"

#include <errno.h>
#include <unistd.h>

#include "iterate.h"
#include "pins.h"
#include "tapio.skel.h"

namespace tapio {

bool calls_under_way(const std::string& set, std::vector<tapio_under_way>* calls,
                     std::string* why) {
  libbpf_set_print([](enum libbpf_print_level, const char*, va_list) { return 0; });
  tapio_programs* skeleton = tapio_programs__open();
  const auto failed = [&](std::string reason) {
    *why = std::move(reason);
    tapio_programs__destroy(skeleton);
    return false;
  };
  if (!skeleton) return failed(strerror(errno));
  const std::string starts =
      set + "/" + link_pin_name(bpf_program__name(skeleton->progs.call_enter));
  if (access(starts.c_str(), F_OK) != 0)
    return failed("its recorder does not note when calls begin: leave out --no-latency");
  bpf_program* program;
  bpf_object__for_each_program(program, skeleton->obj)
      bpf_program__set_autoload(program, program == skeleton->progs.calls_under_way);
  bpf_map* map;
  bpf_object__for_each_map(map, skeleton->obj) {
    const int fd = bpf_obj_get((set + "/" + pin_name(bpf_map__name(map))).c_str());
    const bool needed = map == skeleton->maps.starts || map == skeleton->maps.data_config;
    if (fd < 0 && needed)
      return failed(std::string("its rings cannot be opened: ") + strerror(errno));
    // What a set of another version lacks the program does not look at.
    const int error = fd < 0 ? bpf_map__set_autocreate(map, false) : bpf_map__reuse_fd(map, fd);
    if (fd >= 0) close(fd);
    if (error) return failed("its rings are of another version");
  }
  if (const int error = tapio_programs__load(skeleton))
    return failed(std::string("the kernel refused the program that asks: ") + strerror(-error));
  *calls = iterate<tapio_under_way>(skeleton->progs.calls_under_way);
  tapio_programs__destroy(skeleton);
  return true;
}

}  // namespace tapio
