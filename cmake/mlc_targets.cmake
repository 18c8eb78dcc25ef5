# Functions that declare our targets: mlc_library() for a folder of src/, mlc_test_sources() for its tests.

# libstdc++ 12's std::stable_sort uses a function that C++17 deprecates, and clang reports it at our call.
set(mlc_warnings -Wall -Wextra -Werror -Wno-deprecated-declarations)

# mlc_library(NAME [NO_EXCEPTIONS] SOURCES ... DEPENDS ... [PRIVATE_LIBRARIES ...])
# NO_EXCEPTIONS: the base and the right column, which also build for WebAssembly (docs/architecture.md).
function(mlc_library name)
  cmake_parse_arguments(ARG "NO_EXCEPTIONS" "" "SOURCES;DEPENDS;PRIVATE_LIBRARIES" ${ARGN})
  add_library(mlc_${name} STATIC ${ARG_SOURCES})
  target_include_directories(mlc_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_compile_options(mlc_${name} PRIVATE ${mlc_warnings})
  if(ARG_NO_EXCEPTIONS)
    target_compile_options(mlc_${name} PRIVATE -fno-exceptions)
  endif()
  if(MLC_WITH_FUZZERS)  # counts branches, without which a fuzzer is blind
    target_compile_options(mlc_${name} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  list(TRANSFORM ARG_DEPENDS PREPEND mlc_)
  target_link_libraries(mlc_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE_LIBRARIES})
endfunction()

# mlc_test_sources(COLUMN files...): adds unit tests to the one test program of a column (base, compiler, runtime).
function(mlc_test_sources column)
  if(NOT MLC_WITH_TESTS)
    return()
  endif()
  foreach(file ${ARGN})
    set_property(GLOBAL APPEND PROPERTY mlc_tests_${column} ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  endforeach()
endfunction()

# mlc_test_program(COLUMN libraries...): call it after all folders of the column. Libraries of ours that the preset leaves out
# (codegen and link in nollvm) are left out here too.
function(mlc_test_program column)
  get_property(files GLOBAL PROPERTY mlc_tests_${column})
  if(NOT MLC_WITH_TESTS OR NOT files)
    return()
  endif()
  add_executable(${column}_test ${files})
  target_compile_options(${column}_test PRIVATE ${mlc_warnings})
  target_compile_definitions(${column}_test PRIVATE MLC_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  list(TRANSFORM ARGN REPLACE "^(mlc_.+)$" "$<TARGET_NAME_IF_EXISTS:\\1>" OUTPUT_VARIABLE libraries)
  target_link_libraries(${column}_test PRIVATE ${libraries} GTest::gtest GTest::gtest_main)
endfunction()

# mlc_fuzzer(NAME file libraries...): a libFuzzer target, built in the asan preset only.
function(mlc_fuzzer name file)
  if(NOT MLC_WITH_FUZZERS)
    return()
  endif()
  add_executable(fuzz_${name} ${file})
  target_compile_options(fuzz_${name} PRIVATE ${mlc_warnings} -fsanitize=fuzzer)
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(fuzz_${name} PRIVATE ${ARGN})
endfunction()
