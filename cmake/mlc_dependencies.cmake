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

# LLVM 19 and LLD, as Debian's llvm-19-dev and liblld-19-dev have them. LLD's archives are named by path: its CMake targets
# bring in the shared LLVM, and two LLVMs in one process abort at start.
if(MLC_WITH_LLVM)
  find_package(LLVM 19.1 REQUIRED CONFIG)
  add_library(mlc_llvm INTERFACE)
  add_library(mlc_lld INTERFACE)
  target_link_libraries(mlc_llvm INTERFACE -l:libz.a -l:libzstd.a Threads::Threads)
  target_link_libraries(mlc_lld INTERFACE ${LLVM_LIBRARY_DIRS}/liblldELF.a ${LLVM_LIBRARY_DIRS}/liblldCommon.a mlc_llvm)
  if(MLC_STATIC_LLVM)
    include(mlc_static_llvm)
  else()
    target_link_libraries(mlc_llvm INTERFACE LLVM)
    target_link_directories(mlc_llvm INTERFACE ${LLVM_LIBRARY_DIRS})
  endif()
endif()

# libmd: MD5 of the weight shards.
if(NOT CMAKE_SYSTEM_NAME STREQUAL "WASI")
  find_library(MLC_LIBMD_ARCHIVE libmd.a REQUIRED)
  add_library(mlc_libmd INTERFACE)
  target_link_libraries(mlc_libmd INTERFACE ${MLC_LIBMD_ARCHIVE})
endif()

# libedit: line editing of chat, with what it needs.
if(MLC_WITH_COMPILER)
  find_library(MLC_LIBEDIT_ARCHIVE libedit.a REQUIRED)
  find_library(MLC_LIBTINFO_ARCHIVE libtinfo.a REQUIRED)
  find_library(MLC_LIBBSD_ARCHIVE libbsd.a REQUIRED)
  add_library(mlc_libedit INTERFACE)
  target_link_libraries(mlc_libedit INTERFACE ${MLC_LIBEDIT_ARCHIVE} ${MLC_LIBTINFO_ARCHIVE} ${MLC_LIBBSD_ARCHIVE} mlc_libmd)
endif()

# PCRE2 and utf8proc: the archives, since the released binary depends on libc and libm only.
find_library(MLC_PCRE2_ARCHIVE libpcre2-8.a REQUIRED)
add_library(mlc_pcre2 INTERFACE)
target_link_libraries(mlc_pcre2 INTERFACE ${MLC_PCRE2_ARCHIVE})
find_library(MLC_UTF8PROC_ARCHIVE libutf8proc.a REQUIRED)
add_library(mlc_utf8proc INTERFACE)
target_link_libraries(mlc_utf8proc INTERFACE ${MLC_UTF8PROC_ARCHIVE})
