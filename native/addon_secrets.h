// The N-API face of hiding secrets: src/source/secrets.ts describes it.
#pragma once

#include <napi.h>

#include <memory>

#include "secrets.h"

namespace tapio {

// Patterns as JS has them, [{name, pattern}]; null where there are none. Throws for those that RE2
// does not take, and gives null.
std::shared_ptr<const Secrets> secrets_from_js(const Napi::Value& value);

// How many of each pattern there were, by name; those without any are left out.
Napi::Object masked_to_js(Napi::Env env, const Secrets* secrets,
                          const std::vector<uint64_t>& counts);

// The class SecretMask of the addon.
Napi::Function define_secret_mask(Napi::Env env);

}  // namespace tapio
