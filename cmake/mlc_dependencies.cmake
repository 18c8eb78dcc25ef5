# Libraries from outside, each seen by as few files as possible. scripts/dependencies.txt says why each is used.

# RapidJSON: headers only; reached through a folder of its own, so that a wasm build sees nothing else of /usr/include.
set(third_party ${CMAKE_BINARY_DIR}/third_party)
file(MAKE_DIRECTORY ${third_party})
file(CREATE_LINK /usr/include/rapidjson ${third_party}/rapidjson SYMBOLIC)
add_library(mlc_rapidjson INTERFACE)
target_include_directories(mlc_rapidjson SYSTEM INTERFACE ${third_party})
target_compile_definitions(mlc_rapidjson INTERFACE RAPIDJSON_HAS_STDSTRING=0)
# Its stack adds an offset to a null pointer before the first allocation.
target_compile_options(mlc_rapidjson INTERFACE -fno-sanitize=pointer-overflow)

if(MLC_WITH_TESTS)
  find_package(GTest REQUIRED)
  enable_testing()
endif()
if(NOT CMAKE_SYSTEM_NAME STREQUAL "WASI")
  find_package(Threads REQUIRED)
endif()

# libmd: MD5 of the weight shards.
if(NOT CMAKE_SYSTEM_NAME STREQUAL "WASI")
  find_library(MLC_LIBMD_ARCHIVE libmd.a REQUIRED)
  add_library(mlc_libmd INTERFACE)
  target_link_libraries(mlc_libmd INTERFACE ${MLC_LIBMD_ARCHIVE})
endif()
