# PCRE2 (without its JIT, which needs executable memory) and utf8proc for WebAssembly, from the tarballs of their Debian source
# packages, which scripts/install_dependencies.sh web leaves in build/downloads.
include(FetchContent)
cmake_policy(SET CMP0077 NEW)  # so that set() decides the options below
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)

foreach(library
    "pcre2 pcre2_10.42.orig.tar.gz c33b418e3b936ee3153de2c61cc638e7e4fe3156022a5c77d0711bcbb9d64f1f"
    "utf8proc utf8proc_2.8.0.orig.tar.gz a0a60a79fe6f6d54e7d411facbfcc867a6e198608f2cd992490e46f04b1bcecc")
  separate_arguments(library)
  list(GET library 0 name)
  list(GET library 1 file)
  list(GET library 2 hash)
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/build/downloads/${file})
    message(FATAL_ERROR "build/downloads/${file} is absent; run scripts/install_dependencies.sh web")
  endif()
  FetchContent_Declare(${name} URL ${CMAKE_SOURCE_DIR}/build/downloads/${file} URL_HASH SHA256=${hash})
endforeach()

set(BUILD_SHARED_LIBS OFF)
set(PCRE2_BUILD_PCRE2GREP OFF)
set(PCRE2_BUILD_TESTS OFF)
set(PCRE2_SHOW_REPORT OFF)
set(PCRE2_SUPPORT_LIBBZ2 OFF)
set(PCRE2_SUPPORT_LIBZ OFF)
set(PCRE2_SUPPORT_LIBREADLINE OFF)
FetchContent_MakeAvailable(pcre2 utf8proc)

add_library(mlc_pcre2 INTERFACE)
target_link_libraries(mlc_pcre2 INTERFACE pcre2-8-static)
target_include_directories(mlc_pcre2 SYSTEM INTERFACE ${pcre2_BINARY_DIR})
add_library(mlc_utf8proc INTERFACE)
target_link_libraries(mlc_utf8proc INTERFACE utf8proc)
target_include_directories(mlc_utf8proc SYSTEM INTERFACE ${utf8proc_SOURCE_DIR})
