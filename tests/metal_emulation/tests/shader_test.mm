// Tests of shaders from source and from a built library.
#include "emulation_check.h"

#include "shaders/basics_params.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

namespace {

std::vector<float> ramp(std::size_t count) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 17) - 4;
    return values;
}

id<MTLTexture> texture(MTLPixelFormat format, NSUInteger width, NSUInteger height, NSUInteger slices) {
    MTLTextureDescriptor *descriptor = [MTLTextureDescriptor texture2DDescriptorWithPixelFormat:format
                                                                                          width:width
                                                                                         height:height
                                                                                      mipmapped:NO];
    if (slices > 1) [descriptor setTextureType:MTLTextureType2DArray];
    [descriptor setArrayLength:slices];
    [descriptor setUsage:MTLTextureUsageShaderRead | MTLTextureUsageShaderWrite];
    return owned([device() newTextureWithDescriptor:descriptor]);
}

std::vector<float> sums_of_rows(NSUInteger rows, uint width, NSUInteger threads) {
    const std::vector<float> values = ramp(rows * width);
    id<MTLBuffer> source = buffer_of(values), sums = buffer_of(std::vector<float>(rows));
    id<MTLCommandBuffer> commands = command_buffer();
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline_of(@"sum_rows")];
    [encoder setBuffer:source offset:0 atIndex:0];
    [encoder setBuffer:sums offset:0 atIndex:1];
    [encoder setBytes:&width length:sizeof width atIndex:2];
    [encoder setThreadgroupMemoryLength:threads * sizeof(float) atIndex:0];
    [encoder dispatchThreadgroups:MTLSizeMake(rows, 1, 1) threadsPerThreadgroup:MTLSizeMake(threads, 1, 1)];
    [encoder endEncoding];
    finish(commands);
    return floats_in(sums);
}

} // namespace

CLEAN_TEST(buffers_and_function_constants) {
    const std::vector<float> values = ramp(100);
    id<MTLBuffer> source = buffer_of(values), result = buffer_of(std::vector<float>(100, -1.0f));
    const ScaleParams params{2.5f, 90};
    id<MTLCommandBuffer> commands = command_buffer();
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline_of(@"scale", 3)];
    [encoder setBuffer:source offset:0 atIndex:0];
    [encoder setBuffer:result offset:0 atIndex:1];
    [encoder setBytes:&params length:sizeof params atIndex:2];
    [encoder dispatchThreadgroups:MTLSizeMake(4, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
    [encoder endEncoding];
    finish(commands);
    CHECK([commands status] == MTLCommandBufferStatusCompleted);
    const std::vector<float> got = floats_in(result);
    for (std::size_t i = 0; i < 100; ++i) CHECK(got[i] == (i < 90 ? values[i] * 2.5f + 3 : -1.0f));
}

CLEAN_TEST(textures_of_halves_round_after_each_operation) {
    id<MTLTexture> source = texture(MTLPixelFormatRGBA16Float, 3, 1, 1);
    id<MTLTexture> result = texture(MTLPixelFormatRGBA16Float, 3, 1, 1);
    std::vector<_Float16> pixels(12);
    for (std::size_t i = 0; i < 12; ++i) pixels[i] = static_cast<_Float16>(0.1f * static_cast<float>(i + 1));
    [source replaceRegion:MTLRegionMake2D(0, 0, 3, 1) mipmapLevel:0 withBytes:pixels.data() bytesPerRow:24];
    id<MTLCommandBuffer> commands = command_buffer();
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline_of(@"smooth_half")];
    [encoder setTexture:source atIndex:0];
    [encoder setTexture:result atIndex:1];
    [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(8, 8, 1)];
    [encoder endEncoding];
    finish(commands);
    std::vector<_Float16> got(12);
    [result getBytes:got.data()
          bytesPerRow:24
        bytesPerImage:0
           fromRegion:MTLRegionMake2D(0, 0, 3, 1)
          mipmapLevel:0
                slice:0];
    for (int x = 0; x < 3; ++x)
        for (int c = 0; c < 4; ++c) {
            float sum = 0;
            const float weights[] = {0.25f, 0.5f, 0.25f};
            for (int i = 0; i < 3; ++i) {
                const int from = std::min(std::max(x + i - 1, 0), 2);
                const auto product = static_cast<float>(static_cast<_Float16>(
                    static_cast<float>(pixels[static_cast<std::size_t>(from * 4 + c)]) * weights[i]));
                sum = static_cast<float>(static_cast<_Float16>(sum + product));
            }
            CHECK(static_cast<float>(got[static_cast<std::size_t>(x * 4 + c)]) == sum);
        }
}

CLEAN_TEST(slices_of_texture_arrays) {
    id<MTLTexture> source = texture(MTLPixelFormatRGBA16Float, 2, 2, 3);
    id<MTLTexture> result = texture(MTLPixelFormatRGBA16Float, 2, 2, 3);
    std::vector<_Float16> pixels(16);
    for (NSUInteger slice = 0; slice < 3; ++slice) {
        for (std::size_t i = 0; i < 16; ++i)
            pixels[i] = static_cast<_Float16>(static_cast<float>(slice * 16 + i));
        [source replaceRegion:MTLRegionMake2D(0, 0, 2, 2)
                  mipmapLevel:0
                        slice:slice
                    withBytes:pixels.data()
                  bytesPerRow:16
                bytesPerImage:32];
    }
    id<MTLCommandBuffer> commands = command_buffer();
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline_of(@"swap_slices")];
    [encoder setTexture:source atIndex:0];
    [encoder setTexture:result atIndex:1];
    [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 3) threadsPerThreadgroup:MTLSizeMake(2, 2, 1)];
    [encoder endEncoding];
    finish(commands);
    [result getBytes:pixels.data()
          bytesPerRow:16
        bytesPerImage:32
           fromRegion:MTLRegionMake2D(0, 0, 2, 2)
          mipmapLevel:0
                slice:0];
    CHECK(static_cast<float>(pixels[0]) == 35); // slice 2, pixel 0, last channel
    CHECK(static_cast<float>(pixels[15]) == 44);
}

CLEAN_TEST(barriers_and_threadgroup_memory) {
    for (const long reverse : {0, 1}) {
        metal_emulation_set("reverse_threads", reverse);
        const std::vector<float> values = ramp(5 * 100), sums = sums_of_rows(5, 100, 64);
        for (std::size_t row = 0; row < 5; ++row) {
            float expected = 0;
            for (std::size_t x = 0; x < 100; ++x) expected += values[row * 100 + x];
            CHECK(sums[row] == expected); // integers: exact in any order
        }
    }
}

CLEAN_TEST(threadgroup_variables_in_a_body) {
    std::vector<int> values(128);
    for (int i = 0; i < 128; ++i) values[static_cast<std::size_t>(i)] = i;
    id<MTLBuffer> buffer = owned([device() newBufferWithBytes:values.data()
                                                       length:512
                                                      options:MTLResourceStorageModeShared]);
    id<MTLCommandBuffer> commands = command_buffer();
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:pipeline_of(@"reverse_in_group")];
    [encoder setBuffer:buffer offset:0 atIndex:0];
    [encoder dispatchThreadgroups:MTLSizeMake(2, 1, 1) threadsPerThreadgroup:MTLSizeMake(64, 1, 1)];
    [encoder endEncoding];
    finish(commands);
    const auto *got = static_cast<const int *>([buffer contents]);
    for (int i = 0; i < 128; ++i) CHECK(got[i] == i / 64 * 64 + 63 - i % 64);
}

namespace {

id<MTLLibrary> compile(const char *body, NSError **error) {
    MTLCompileOptions *options = owned([[MTLCompileOptions alloc] init]);
    [options setFastMathEnabled:NO];
    [options setLanguageVersion:MTLLanguageVersion2_3];
    const std::string source = std::string("#include <metal_stdlib>\nusing namespace metal;\n") + body;
    return owned([device() newLibraryWithSource:[NSString stringWithUTF8String:source.c_str()]
                                        options:options
                                          error:error]);
}

std::string refusal(const char *body) {
    NSError *error = nil;
    CHECK(compile(body, &error) == nil);
    return error ? [[error localizedDescription] UTF8String] : "";
}

// Run a kernel on one buffer of floats.
std::vector<float> run_source(const char *body, std::size_t count, std::size_t threads) {
    NSError *error = nil;
    id<MTLLibrary> library = compile(body, &error);
    if (!library) throw std::runtime_error([[error localizedDescription] UTF8String]);
    id<MTLFunction> function = owned([library newFunctionWithName:@"run"]);
    id<MTLBuffer> buffer = buffer_of(ramp(count));
    id<MTLCommandBuffer> commands = command_buffer();
    id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
    [encoder setComputePipelineState:owned([device() newComputePipelineStateWithFunction:function
                                                                                   error:&error])];
    [encoder setBuffer:buffer offset:0 atIndex:0];
    [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(threads, 1, 1)];
    [encoder endEncoding];
    finish(commands);
    return floats_in(buffer);
}

} // namespace

CLEAN_TEST(libraries_are_loaded_from_memory) {
    const std::string path = TEST_METALLIB;
    std::ifstream file(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    int ended = 0;
    int *ends = &ended;
    NSError *error = nil;
    {
        const Pool pool;
        dispatch_data_t data = owned(dispatch_data_create(bytes.data(), bytes.size(), nil, ^{
          ++*ends;
        }));
        id<MTLLibrary> library = owned([device() newLibraryWithData:data error:&error]);
        CHECK([[library functionNames] isEqual:[test_library() functionNames]]);
        CHECK(ended == 0);
    }
    CHECK(ended == 1);
    dispatch_data_t copied = owned(dispatch_data_create(bytes.data(), bytes.size(), nil, nil));
    bytes.assign(bytes.size(), 'x');
    CHECK(owned([device() newLibraryWithData:copied error:&error]) != nil);
    dispatch_data_t noise = owned(dispatch_data_create(bytes.data(), 100, nil, nil));
    CHECK([device() newLibraryWithData:noise error:&error] == nil);
    CHECK(error != nil);
}

CLEAN_TEST(source_is_compiled_at_run_time) {
    const std::vector<float> got =
        run_source("kernel void run(device float *v [[buffer(0)]], uint i [[thread_position_in_grid]]) {"
                   "    v[i] = float(4) * v[i] + float(half(0.1f)); }",
                   8, 8);
    for (std::size_t i = 0; i < 8; ++i)
        CHECK(got[i] == 4 * ramp(8)[i] + static_cast<float>(static_cast<_Float16>(0.1f)));
}

CLEAN_TEST(wrong_source_is_refused_with_the_compilers_words) {
    CHECK(refusal("kernel void f(device float *v [[buffer(0)]]) { v[0] = w; }")
              .find("undeclared identifier 'w'") != std::string::npos);
    CHECK(refusal("#include \"beside.h\"\n").find("beside.h") != std::string::npos);
    CHECK(refusal("kernel void f(float *v [[buffer(0)]]) {}").find("address space") != std::string::npos);
    CHECK(refusal("kernel void f(device float *v) {}").find("no attribute") != std::string::npos);
    CHECK(refusal("kernel void f(device float *v [[buffer(0)]]) { v[0] = 1.0; }").find("suffix") !=
          std::string::npos);
    CHECK(refusal(
              "kernel void f(device half4 *v [[buffer(0)]], device float4 *w [[buffer(1)]]) { v[0] = w[0]; }")
              .find("error") != std::string::npos);
    CHECK(refusal("kernel void f(constant float *v [[buffer(0)]]) { v[0] = 1.0f; }").find("error") !=
          std::string::npos);
    CHECK(refusal("inline float g(device float *p) { return *p; }\n"
                  "kernel void f(device float *v [[buffer(0)]], threadgroup float *s [[threadgroup(0)]]) { "
                  "v[0] = g(s); }")
              .find("error") != std::string::npos);
}

namespace {

// Each simdgroup multiplies the transposed first matrix of its numbers by the second one, and adds 1.
const char *const product_of_matrices = R"(
kernel void run(device float *v [[buffer(0)]], uint simdgroup [[simdgroup_index_in_threadgroup]]) {
    device float *own = v + simdgroup * 192u;
    simdgroup_float8x8 left, right, sums = make_filled_simdgroup_matrix<float, 8, 8>(1.0f);
    simdgroup_load(left, own, 8, ulong2(0), true);
    simdgroup_load(right, own, 8, ulong2(0, 8));
    simdgroup_multiply_accumulate(sums, left, right, sums);
    simdgroup_store(sums, own + 128, 8);
    threadgroup_barrier(mem_flags::mem_none);
})";

// The same product of halves. The kernel first copies the numbers, as halves, to the memory after them. The
// sums are floats, and each thread multiplies its elements by 0.5.
const char *const product_of_halves = R"(
kernel void run(device float *v [[buffer(0)]], uint thread_index [[thread_index_in_threadgroup]],
                uint simdgroup [[simdgroup_index_in_threadgroup]]) {
    device half *copied = reinterpret_cast<device half *>(v + 384);
    for (uint i = thread_index; i < 384u; i += 64u) copied[i] = half(v[i]);
    threadgroup_barrier(mem_flags::mem_device);
    const device half *own = copied + simdgroup * 192u;
    simdgroup_half8x8 left, right;
    simdgroup_float8x8 sums = make_filled_simdgroup_matrix<float, 8, 8>(1.0f);
    simdgroup_load(left, own, 8, ulong2(0), true);
    simdgroup_load(right, own + 64, 8);
    simdgroup_multiply_accumulate(sums, left, right, sums);
    sums.thread_elements()[0] *= 0.5f;
    sums.thread_elements()[1] *= 0.5f;
    simdgroup_store(sums, v + simdgroup * 192u + 128u, 8);
})";

// All simdgroups multiply matrices. Then the first one stores its result, and the second one reads that
// place.
const char *const missing_barrier = R"(
kernel void run(device float *v [[buffer(0)]], uint simdgroup [[simdgroup_index_in_threadgroup]]) {
    simdgroup_float8x8 ones = make_filled_simdgroup_matrix<float, 8, 8>(1.0f), sums;
    simdgroup_multiply_accumulate(sums, ones, ones, ones);
    if (simdgroup == 0u) simdgroup_store(sums, v, 8);
    simdgroup_multiply_accumulate(sums, ones, ones, ones);
    if (simdgroup == 1u) {
        simdgroup_load(sums, v, 8);
        simdgroup_store(sums, v + 64, 8);
    }
    threadgroup_barrier(mem_flags::mem_none);
})";

} // namespace

CLEAN_TEST(simdgroups_multiply_matrices) {
    const std::vector<float> values = ramp(576);
    for (const long reverse : {0, 1}) {
        metal_emulation_set("reverse_threads", reverse);
        const std::vector<float> floats = run_source(product_of_matrices, 384, 64),
                                 halves = run_source(product_of_halves, 576, 64);
        for (std::size_t i = 0; i < 128; ++i) {
            const std::size_t first = i / 64 * 192, row = i % 64 / 8, column = i % 8;
            float sum = 1;
            for (std::size_t k = 0; k < 8; ++k)
                sum += values[first + 8 * k + row] * values[first + 64 + 8 * k + column];
            CHECK(floats[first + 128 + i % 64] == sum); // integers: exact in any order
            CHECK(halves[first + 128 + i % 64] == sum / 2);
        }
    }
}

CLEAN_TEST(multiplying_matrices_orders_no_other_simdgroup) {
    CHECK(run_source(missing_barrier, 128, 64)[64] == 9);
    metal_emulation_set("reverse_threads", 1);
    CHECK(run_source(missing_barrier, 128, 64)[64] == ramp(1)[0]);
}

TEST(matrices_need_whole_simdgroups_of_a_new_gpu) {
    BREAKS("has not 32 threads", run_source(product_of_matrices, 384, 48));
    BREAKS("is not reached by all of its threads",
           run_source(
               "kernel void run(device float *v [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {\n"
               "    simdgroup_float8x8 ones = make_filled_simdgroup_matrix<float, 8, 8>(1.0f);\n"
               "    if (i > 0u) simdgroup_multiply_accumulate(ones, ones, ones, ones);\n"
               "    threadgroup_barrier(mem_flags::mem_none);\n    v[i] = 0.0f; }",
               32, 32));
    BREAKS("below the family Apple 7", {
        metal_emulation_set("old_gpu", 1);
        run_source(product_of_matrices, 384, 64);
    });
}

TEST(faults_of_kernels_end_the_command_buffer_in_an_error) {
    BREAKS("barrier in line",
           run_source(
               "kernel void run(device float *v [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {\n"
               "    if (i > 3u) return;\n    threadgroup_barrier(mem_flags::mem_threadgroup);\n    v[i] = "
               "0.0f; }",
               8, 8));
    BREAKS("wrote outside",
           run_source("kernel void run(device float *v [[buffer(0)]], uint i [[thread_position_in_grid]]) {"
                      "    v[i] = 1.0f; }",
                      8, 9));
    BREAKS("read at x 2", {
        id<MTLCommandBuffer> commands = command_buffer();
        NSError *error = nil;
        id<MTLLibrary> library =
            compile("kernel void run(texture2d<float, access::read> t [[texture(0)]],"
                    "                device float *v [[buffer(0)]],"
                    "                uint2 i [[thread_position_in_grid]]) { v[0] = t.read(i).x; }",
                    &error);
        id<MTLFunction> function = owned([library newFunctionWithName:@"run"]);
        id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
        [encoder setComputePipelineState:owned([device() newComputePipelineStateWithFunction:function
                                                                                       error:&error])];
        [encoder setTexture:texture(MTLPixelFormatRGBA32Float, 2, 2, 1) atIndex:0];
        [encoder setBuffer:buffer_of({0}) offset:0 atIndex:0];
        [encoder dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(3, 1, 1)];
        [encoder endEncoding];
        finish(commands);
        CHECK([commands status] == MTLCommandBufferStatusError);
        CHECK([[commands error] code] == MTLCommandBufferErrorInternal);
    });
}
