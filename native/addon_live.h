// The N-API face of followers: src/source/live.ts describes it.
#pragma once

#include <napi.h>

namespace tapio {

// The class LiveReader of the addon.
Napi::Function define_live_reader(Napi::Env env);

}  // namespace tapio
