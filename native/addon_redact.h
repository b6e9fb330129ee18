// The N-API face of redaction: src/source/redact.ts describes it.
#pragma once

#include <napi.h>

namespace tapio {

// The class TextRedactor of the addon.
Napi::Function define_text_redactor(Napi::Env env);

}  // namespace tapio
