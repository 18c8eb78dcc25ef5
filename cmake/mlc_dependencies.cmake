# Libraries from outside, each seen by as few files as possible. scripts/dependencies.txt says why each is used.

# RapidJSON: headers only; reached through a folder of its own, so that a wasm build sees nothing else of /usr/include.
set(third_party ${CMAKE_BINARY_DIR}/third_party)
file(MAKE_DIRECTORY ${third_party})
file(CREATE_LINK /usr/include/rapidjson ${third_party}/rapidjson SYMBOLIC)
add_library(mlc_rapidjson INTERFACE)
target_include_directories(mlc_rapidjson SYSTEM INTERFACE ${third_party})
target_compile_definitions(mlc_rapidjson INTERFACE RAPIDJSON_HAS_STDSTRING=0)

if(MLC_WITH_TESTS)
  find_package(GTest REQUIRED)
  enable_testing()
endif()
if(NOT CMAKE_SYSTEM_NAME STREQUAL "WASI")
  find_package(Threads REQUIRED)
endif()

# PCRE2 and utf8proc, seen by src/tokenizers only.
foreach(library pcre2-8 utf8proc)
  string(REGEX REPLACE "-.*" "" target ${library})
  string(TOUPPER ${target} variable)
  if(MLC_STATIC_LLVM)  # the released binary needs libc and libm only
    find_library(${variable}_LIBRARY NAMES lib${library}.a ${library} REQUIRED)
  else()
    find_library(${variable}_LIBRARY NAMES ${library} REQUIRED)
  endif()
  add_library(mlc_${target} INTERFACE)
  target_link_libraries(mlc_${target} INTERFACE ${${variable}_LIBRARY})
endforeach()
