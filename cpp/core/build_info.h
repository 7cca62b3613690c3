#pragma once

namespace mpscnn::build_info {

// How the library was built. CMake writes these constants to a source file in the build folder, so that all
// other files compile to the same objects in all build folders.

extern const char *const version;
extern const char *const compiler;
extern const char *const compiler_version;
extern const char *const flags;
extern const char *const build_type;
extern const char *const system;
/// The names of the instruction sets that have kernels. A null pointer ends the list.
extern const char *const instruction_sets[];
/// The path from the library's folder to the folder of the program mpscnn-check.
extern const char *const programs_from_library;

} // namespace mpscnn::build_info
