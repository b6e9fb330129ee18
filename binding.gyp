{
  "variables": {
    "bpf_arch%": "<!(node -p \"process.arch === 'arm64' ? 'arm64' : 'x86'\")",
    "bpf_clang%": "<!(command -v clang-16 || command -v clang || echo clang-16)",
    "bpf_strip%": "<!(command -v llvm-strip-16 || command -v llvm-strip || echo llvm-strip-16)",
    # Debian keeps the architecture's kernel headers (asm/types.h) apart.
    "multiarch%": "<!(gcc -print-multiarch)"
  },
  "targets": [
    {
      "target_name": "tapio_native",
      "sources": ["<!@(ls native/*.cc)"],
      "include_dirs": [
        "<!(node -p \"require('node-addon-api').include_dir\")",
        "native",
        "schemas/generated",
        "<(SHARED_INTERMEDIATE_DIR)"
      ],
      "defines": [
        "NAPI_VERSION=9",
        # Errors cross the boundary as values; nothing in the addon throws.
        "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
        # A thread that is being ended takes no errors any more: that must not end the process.
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
        # Two environments (main thread, worker) may load the addon: no state is shared.
        "NODE_ADDON_API_ENABLE_TYPE_CHECK_ON_AS"
      ],
      "cflags_cc": ["-std=c++20", "-O3", "-Wall", "-Wextra", "-Wno-missing-field-initializers"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-O2"],
      "cflags!": ["-O2"],
      "cflags": ["-O3"],
      # libelf is LGPL: it stays a shared library, and libbpf with it.
      "libraries": ["-lbpf", "-lzstd", "-lre2"],
      "actions": [
        {
          "action_name": "bpf_object",
          "inputs": ["<!@(ls bpf/*.c bpf/*.h)", "schemas/generated/events.h"],
          "outputs": ["<(SHARED_INTERMEDIATE_DIR)/tapio.bpf.o"],
          "action": [
            "sh", "-c",
            "<(bpf_clang) -g -O2 -Wall -Werror -target bpf -mcpu=v3 -D__TARGET_ARCH_<(bpf_arch) -Ibpf -Ischemas/generated -I/usr/include/<(multiarch) -c bpf/tapio.bpf.c -o <(SHARED_INTERMEDIATE_DIR)/tapio.bpf.o && <(bpf_strip) -g <(SHARED_INTERMEDIATE_DIR)/tapio.bpf.o"
          ]
        },
        {
          "action_name": "bpf_skeleton",
          "inputs": ["<(SHARED_INTERMEDIATE_DIR)/tapio.bpf.o"],
          "outputs": ["<(SHARED_INTERMEDIATE_DIR)/tapio.skel.h"],
          "action": [
            "sh", "-c",
            "bpftool gen skeleton <(SHARED_INTERMEDIATE_DIR)/tapio.bpf.o name tapio_programs > <(SHARED_INTERMEDIATE_DIR)/tapio.skel.h"
          ]
        }
      ]
    }
  ]
}
