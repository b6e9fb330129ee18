// What the addon tells of the host: src/source/binding.ts describes it.
#pragma once

#include <napi.h>

namespace tapio {

// Who is at the other end of a Unix socket, by its descriptor.
Napi::Value peer_credentials(const Napi::CallbackInfo& info);
Napi::Value clocks(const Napi::CallbackInfo& info);

}  // namespace tapio
