// The N-API face of scans: src/source/binding.ts describes it.
#pragma once

#include <napi.h>

namespace tapio {

// The class Scan of the addon.
Napi::Function define_scan(Napi::Env env);

// Why RE2 does not take a pattern, or null.
Napi::Value pattern_error(const Napi::CallbackInfo& info);

}  // namespace tapio
