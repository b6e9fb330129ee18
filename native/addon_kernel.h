// What the addon asks of the kernel beside a source: src/source/binding.ts describes it.
#pragma once

#include <napi.h>

namespace tapio {

void define_kernel(Napi::Env env, Napi::Object exports);

}  // namespace tapio
