// The N-API face of scans: src/source/binding.ts describes it.
#pragma once

#include <napi.h>

#include "scan.h"

namespace tapio {

// The class Scan of the addon.
Napi::Function define_scan(Napi::Env env);

// What is asked of the rows of a type.
ScanTable scan_table_of(const Napi::Object& object, bool grouped);

// Why RE2 does not take a pattern, or null.
Napi::Value pattern_error(const Napi::CallbackInfo& info);

}  // namespace tapio
