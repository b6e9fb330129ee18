// The N-API face of giving up privileges: src/source/privileges.ts describes it.
#pragma once

#include <napi.h>

namespace tapio {

void define_privileges(Napi::Env env, Napi::Object exports);

}  // namespace tapio
